// The story, told with openapi-fetch and the types that openapi-typescript generates.

import assert from "node:assert/strict";
import createClient, { type Client } from "openapi-fetch";
import type { paths } from "../generated/openapi_typescript";

type Api = Client<paths>;

function good<T>(answer: { data?: T; error?: unknown }): NonNullable<T> {
  assert.ok(answer.data, JSON.stringify(answer.error));
  return answer.data;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 200));
}

async function signUp(baseUrl: string): Promise<Api> {
  const owner = { name: "Anna", email: `anna-${process.pid}@openapi-fetch.example` };
  const stranger = createClient<paths>({ baseUrl });
  const made = good(await stranger.POST("/v1/workspaces", { body: { title: "Step & Co", owner } }));
  const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${made.api_key.key}` } });
  const me = good(await api.GET("/v1/me"));
  assert.equal(me.session, null);
  assert.equal(me.workspace.id, made.workspace.id);
  return api;
}

async function projectOf(api: Api): Promise<string> {
  const made = good(await api.POST("/v1/projects", { body: { title: "Coffee", timezone: "Europe/Minsk" } }));
  const path = { project_id: made.id };
  const after = good(
    await api.PATCH("/v1/projects/{project_id}", { params: { path }, body: { title: "Coffee house" } }),
  );
  assert.deepEqual({ ...after, title: made.title, version: made.version }, made);
  const read = await api.GET("/v1/projects/{project_id}", { params: { path } });
  const header = { "If-None-Match": read.response.headers.get("etag") ?? "" };
  const again = await api.GET("/v1/projects/{project_id}", { params: { path, header }, parseAs: "stream" });
  assert.equal(again.response.status, 304);
  return made.id;
}

async function communityOf(api: Api, project_id: string): Promise<string> {
  const given = JSON.parse(process.env.STORY_COMMUNITY ?? "{}");
  const made = good(await api.POST("/v1/communities", { body: { project_id, backfill_days: 7, ...given } }));
  const params = { path: { community_id: made.id } };
  const deadline = Date.now() + 60_000;
  for (;;) {
    const health = good(await api.GET("/v1/communities/{community_id}/health", { params }));
    if (health.polled_at !== null) return made.id;
    assert.ok(Date.now() < deadline, JSON.stringify(health));
    await pause();
  }
}

async function postOf(api: Api, community_id: string): Promise<string> {
  const made = good(
    await api.POST("/v1/posts", {
      body: { community_id, text: "Guess the roast!", category: "engaging", planned_for: "2030-05-06T09:30:00" },
    }),
  );
  const params = { path: { post_id: made.id } };
  const after = good(await api.PATCH("/v1/posts/{post_id}", { params, body: { text: "Which roast is it?" } }));
  assert.deepEqual({ ...after, text: made.text, version: made.version, updated_at: made.updated_at }, made);
  const uncategorised = good(await api.PATCH("/v1/posts/{post_id}", { params, body: { category: null } }));
  assert.equal(uncategorised.category, null);
  const results = good(
    await api.POST("/v1/posts/bulk", {
      params: { query: { atomic: false } },
      body: { items: [{ community_id }, { community_id: made.id, text: "Nowhere" }] },
    }),
  );
  assert.deepEqual([results.succeeded, results.failed], [1, 1]);
  assert.equal(results.data[1]?.problem?.code, "not-found");
  const community = good(
    await api.GET("/v1/communities/{community_id}", { params: { path: { community_id } } }),
  );
  const permalink = `${community.url}/115012345678901234`;
  const marked = good(await api.POST("/v1/posts/{post_id}/mark-published", { params, body: { permalink } }));
  assert.ok(marked.published_at);
  const refused = await api.GET("/v1/posts/{post_id}", { params: { path: { post_id: community_id } } });
  assert.equal(refused.error?.code, "not-found");
  return made.id;
}

async function answerCustomer(api: Api, community_id: string): Promise<void> {
  const query = { community_id, status: "open", limit: 1 } as const;
  const [inquiry] = good(await api.GET("/v1/inquiries", { params: { query } })).data;
  assert.ok(inquiry);
  const params = { path: { inquiry_id: inquiry.id } };
  const message = good(
    await api.POST("/v1/inquiries/{inquiry_id}/messages", { params, body: { text: "We are looking into it." } }),
  );
  const deadline = Date.now() + 60_000;
  for (;;) {
    const detail = good(await api.GET("/v1/inquiries/{inquiry_id}", { params }));
    if (detail.messages.some((one) => one.id === message.id && one.delivery === "sent")) break;
    assert.ok(Date.now() < deadline, JSON.stringify(detail));
    await pause();
  }
  const closed = good(
    await api.POST("/v1/inquiries/{inquiry_id}/resolve", { params, body: { reason: "Told them." } }),
  );
  assert.equal(closed.status, "resolved");
}

async function readKpis(api: Api, project_id: string): Promise<void> {
  const answers = good(await api.GET("/v1/projects/{project_id}/kpis", { params: { path: { project_id } } }));
  assert.ok(answers.data.length > 10);
  for (const answer of answers.data) {
    assert.equal(answer.value === null, answer.status === "unknown", JSON.stringify(answer));
    assert.ok(answer.value !== null || answer.reason, JSON.stringify(answer));
  }
}

async function followLink(api: Api, project_id: string, post_id: string): Promise<void> {
  const made = good(
    await api.POST("/v1/links", {
      body: { project_id, target: "https://coffee.example/menu", title: "Menu", post_id },
    }),
  );
  const params = { path: { link_id: made.id } };
  const after = good(await api.PATCH("/v1/links/{link_id}", { params, body: { title: "The menu" } }));
  assert.deepEqual({ ...after, title: made.title }, made);
}

async function main(): Promise<void> {
  const api = await signUp(process.env.STORY_URL ?? "");
  const project = await projectOf(api);
  const community = await communityOf(api, project);
  const post = await postOf(api, community);
  await answerCustomer(api, community);
  await readKpis(api, project);
  await followLink(api, project, post);
}

void main();
