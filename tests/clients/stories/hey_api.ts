// The story, told with the functions that @hey-api/openapi-ts generates.

import assert from "node:assert/strict";
import {
  communitiesConnect,
  communitiesHealth,
  communitiesRead,
  inquiriesList,
  inquiriesRead,
  inquiriesReply,
  inquiriesResolve,
  kpisAll,
  linksCreate,
  linksUpdate,
  meRead,
  postsCreate,
  postsCreateMany,
  postsMarkPublished,
  postsRead,
  postsUpdate,
  projectsCreate,
  projectsUpdate,
  workspacesCreate,
} from "../generated/hey_api";
import { client } from "../generated/hey_api/client.gen";

function good<T>(answer: { data?: T; error?: unknown }): NonNullable<T> {
  assert.ok(answer.data, JSON.stringify(answer.error));
  return answer.data;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 200));
}

async function signUp(baseUrl: string): Promise<void> {
  client.setConfig({ baseUrl });
  const owner = { name: "Anna", email: `anna-${process.pid}@hey-api.example` };
  const made = good(await workspacesCreate({ body: { title: "Step & Co", owner } }));
  client.setConfig({ baseUrl, auth: made.api_key.key });
  const me = good(await meRead());
  assert.equal(me.session, null);
  assert.equal(me.workspace.id, made.workspace.id);
}

async function projectOf(): Promise<string> {
  const made = good(await projectsCreate({ body: { title: "Coffee", timezone: "Europe/Minsk" } }));
  const path = { project_id: made.id };
  const after = good(await projectsUpdate({ path, body: { title: "Coffee house" } }));
  assert.deepEqual({ ...after, title: made.title, version: made.version }, made);
  return made.id;
}

async function communityOf(project_id: string): Promise<string> {
  const given = JSON.parse(process.env.STORY_COMMUNITY ?? "{}");
  const made = good(await communitiesConnect({ body: { project_id, backfill_days: 7, ...given } }));
  const deadline = Date.now() + 60_000;
  for (;;) {
    const health = good(await communitiesHealth({ path: { community_id: made.id } }));
    if (health.polled_at !== null) return made.id;
    assert.ok(Date.now() < deadline, JSON.stringify(health));
    await pause();
  }
}

async function postOf(community_id: string): Promise<string> {
  const made = good(
    await postsCreate({
      body: { community_id, text: "Guess the roast!", category: "engaging", planned_for: "2030-05-06T09:30:00" },
    }),
  );
  const path = { post_id: made.id };
  const after = good(await postsUpdate({ path, body: { text: "Which roast is it?" } }));
  assert.deepEqual({ ...after, text: made.text, version: made.version, updated_at: made.updated_at }, made);
  assert.equal(good(await postsUpdate({ path, body: { category: null } })).category, null);
  const results = good(
    await postsCreateMany({
      query: { atomic: false },
      body: { items: [{ community_id }, { community_id: made.id, text: "Nowhere" }] },
    }),
  );
  assert.deepEqual([results.succeeded, results.failed], [1, 1]);
  assert.equal(results.data[1]?.problem?.code, "not-found");
  const community = good(await communitiesRead({ path: { community_id } }));
  const marked = good(await postsMarkPublished({ path, body: { permalink: `${community.url}/115012345678901234` } }));
  assert.ok(marked.published_at);
  const refused = await postsRead({ path: { post_id: community_id } });
  assert.equal(refused.error?.code, "not-found");
  return made.id;
}

async function answerCustomer(community_id: string): Promise<void> {
  const [inquiry] = good(await inquiriesList({ query: { community_id, status: "open", limit: 1 } })).data;
  assert.ok(inquiry);
  const path = { inquiry_id: inquiry.id };
  const message = good(await inquiriesReply({ path, body: { text: "We are looking into it." } }));
  const deadline = Date.now() + 60_000;
  for (;;) {
    const detail = good(await inquiriesRead({ path }));
    if (detail.messages.some((one) => one.id === message.id && one.delivery === "sent")) break;
    assert.ok(Date.now() < deadline, JSON.stringify(detail));
    await pause();
  }
  assert.equal(good(await inquiriesResolve({ path, body: { reason: "Told them." } })).status, "resolved");
}

async function readKpis(project_id: string): Promise<void> {
  const answers = good(await kpisAll({ path: { project_id } }));
  assert.ok(answers.data.length > 10);
  for (const answer of answers.data) {
    assert.equal(answer.value === null, answer.status === "unknown", JSON.stringify(answer));
    assert.ok(answer.value !== null || answer.reason, JSON.stringify(answer));
  }
}

async function followLink(project_id: string, post_id: string): Promise<void> {
  const body = { project_id, target: "https://coffee.example/menu", title: "Menu", post_id };
  const made = good(await linksCreate({ body }));
  const after = good(await linksUpdate({ path: { link_id: made.id }, body: { title: "The menu" } }));
  assert.deepEqual({ ...after, title: made.title }, made);
}

async function main(): Promise<void> {
  await signUp(process.env.STORY_URL ?? "");
  const project = await projectOf();
  const community = await communityOf(project);
  const post = await postOf(community);
  await answerCustomer(community);
  await readKpis(project);
  await followLink(project, post);
}

void main();
