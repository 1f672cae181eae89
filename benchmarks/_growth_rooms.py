"""The data of the rooms that came later: people, targets, campaigns, joins, goals, alerts, and what clients answer.

Each script needs the tables of those before it alone, and takes the parameters of `_growth_data`. By a decade of
snapshots they grow as posts do: by the projects, and by the days of history. The first project has ten times the
campaigns, goals and joins of another.
"""

from collections.abc import Mapping
from typing import Final

_SHARES: Final = "generate_series(1, CASE p.title WHEN 'Client 0' THEN 10 ELSE 1 END) share"

ROOMS: Final[Mapping[str, str]] = {
    "people": """
INSERT INTO user_account (id, email, name, created_at)
SELECT uuidv7(), 'person' || n || '@agency.example', 'Person ' || n, '{start}' FROM generate_series(1, {projects}) n;
INSERT INTO membership (workspace_id, id, user_id, role, created_at)
SELECT '{ours}', uuidv7(), id, 'member', created_at FROM user_account WHERE email LIKE 'person%';
INSERT INTO user_workspace (user_id, workspace_id)
SELECT user_id, workspace_id FROM membership WHERE role = 'member';
INSERT INTO project_seat (workspace_id, id, project_id, user_id, seat, created_at)
SELECT p.workspace_id, uuidv7(), p.id, m.user_id, seat, p.created_at
FROM project p
JOIN unnest(ARRAY['manager', 'content_manager', 'promotion_manager', 'community_manager']) WITH ORDINALITY s (seat, n)
    ON p.workspace_id = '{ours}'
JOIN (SELECT user_id, row_number() OVER (ORDER BY user_id) - 1 AS place FROM membership WHERE role = 'member') m
    ON m.place = (hashtext(p.title || n)::bigint + 2147483648) % {projects};
INSERT INTO invitation (workspace_id, id, email, name, role, seats, invited_by, created_at, expires_at, accepted_at)
SELECT workspace_id, uuidv7(), 'invited' || id || '@agency.example', 'Invited', 'member', '[]', 'system', created_at,
       created_at + interval '3 days', CASE WHEN title LIKE '%1' THEN NULL ELSE created_at + interval '1 day' END
FROM project;
""",
    "targets": """
INSERT INTO resolved_episode (workspace_id, id, inquiry_id, project_id, community_id, started_at, resolved_at,
        automatic, working_seconds, target_seconds)
SELECT workspace_id, uuidv7(opened_at - now()), id, project_id, community_id, opened_at, resolved_at,
       thread_id LIKE '%7', extract(epoch FROM opened_at)::bigint % 14400, 28800
FROM inquiry WHERE status = 'resolved';
INSERT INTO mix_policy (workspace_id, project_id, shares, version, updated_at)
SELECT workspace_id, id, '{{"engaging": 30, "user_generated": 30, "educational": 30, "promotional": 10}}', 5, '{now}'
FROM project;
INSERT INTO mix_policy_version (workspace_id, project_id, version, shares, since)
SELECT workspace_id, project_id, n, shares, '{start}'::timestamptz + make_interval(days => n * {age} / 6)
FROM mix_policy, generate_series(1, 5) n;
INSERT INTO inbound_gap (workspace_id, community_id, external_id, post, kind, sent_at, found_at)
SELECT workspace_id, id, 'gap' || day, day % 2 = 0, CASE WHEN day % 2 = 0 THEN 'post' ELSE 'comment' END,
       '{start}'::timestamptz + make_interval(days => day), '{start}'::timestamptz + make_interval(days => day + 1)
FROM community, generate_series(0, {age} - 2, 30) day WHERE platform = 'telegram';
""",
    "campaigns": f"""
INSERT INTO campaign (workspace_id, id, project_id, type, title, slug, first_day, last_day, starts_at, ends_at,
        all_communities, budget, currency, status, created_at)
SELECT p.workspace_id, uuidv7(at - now() + make_interval(secs => share)), p.id,
       (ARRAY['ad', 'giveaway', 'discount', 'promo_code'])[1 + week % 4],
       'Campaign ' || week || '.' || share, 'campaign-' || week || '-' || share,
       (at AT TIME ZONE '{{zone}}')::date, (at AT TIME ZONE '{{zone}}')::date + 6, at, at + interval '7 days',
       share % 2 = 0, 100000, 'BYN',
       CASE WHEN week % 50 = 3 THEN 'cancelled' WHEN at > '{{now}}' THEN 'planned'
            WHEN at + interval '7 days' > '{{now}}' THEN 'running' ELSE 'ended' END,
       at - interval '3 days'
FROM project p, {_SHARES}, generate_series(0, {{age}} / 7 + 2) week,
     LATERAL (SELECT '{{start}}'::timestamptz + make_interval(days => 7 * week) AS at);
UPDATE campaign SET cancelled_at = starts_at + interval '2 days' WHERE status = 'cancelled';
INSERT INTO campaign_community (workspace_id, campaign_id, community_id)
SELECT c.workspace_id, c.id, m.id
FROM campaign c JOIN community m ON m.workspace_id = c.workspace_id AND m.project_id = c.project_id
WHERE NOT c.all_communities AND m.title ~ '^Community [12] ';
INSERT INTO campaign_spend (workspace_id, id, project_id, campaign_id, day, amount, currency, external_id, recorded_at,
        voided_at)
SELECT workspace_id, uuidv7(starts_at + make_interval(days => n) - now()), project_id, id, first_day + n,
       1000 + n * 100, CASE WHEN title LIKE '%0.1' THEN 'EUR' ELSE 'BYN' END, 'row' || n,
       starts_at + make_interval(days => n + 1), CASE WHEN n = 3 THEN starts_at + make_interval(days => n + 2) END
FROM campaign, generate_series(0, 6) n WHERE starts_at < '{{now}}' AND status <> 'cancelled';
INSERT INTO campaign_link (workspace_id, id, project_id, campaign_id, link_id, set_at)
SELECT l.workspace_id, uuidv7(l.created_at - now()), l.project_id, c.id, l.id, l.created_at
FROM link l
JOIN campaign c ON c.workspace_id = l.workspace_id AND c.project_id = l.project_id
    AND c.title = 'Campaign ' || floor(extract(epoch FROM l.created_at - '{{start}}') / 604800)::int || '.1';
INSERT INTO campaign_invite_link (workspace_id, id, project_id, campaign_id, community_id, address, set_at)
SELECT c.workspace_id, uuidv7(c.created_at - now()), c.project_id, c.id, m.id,
       'https://t.me/+' || left(md5(c.id::text), 16), c.created_at
FROM campaign c JOIN community m ON m.workspace_id = c.workspace_id AND m.project_id = c.project_id
WHERE m.platform = 'telegram' AND c.title LIKE '%.1';
INSERT INTO promo_code (workspace_id, id, project_id, campaign_id, code, code_key, created_at, retired_at)
SELECT workspace_id, uuidv7(created_at - now()), project_id, id, 'SALE' || replace(title, 'Campaign ', '') || '-' || n,
       'sale' || replace(title, 'Campaign ', '') || '-' || n, created_at,
       CASE WHEN ends_at < '{{now}}' THEN ends_at END
FROM campaign, generate_series(1, 2) n WHERE type IN ('discount', 'promo_code');
INSERT INTO promo_redemption (workspace_id, id, project_id, campaign_id, promo_code_id, at, amount, currency,
        external_id, recorded_at)
SELECT workspace_id, uuidv7(at - now()), project_id, campaign_id, id, at, 1500 + n, 'BYN', 'order' || n, at
FROM promo_code, generate_series(1, 20) n, LATERAL (SELECT created_at + make_interval(hours => 8 * n) AS at)
WHERE at < '{{now}}';
INSERT INTO utm_template (workspace_id, project_id, template, updated_at)
SELECT workspace_id, id, 'utm_source={{{{platform}}}}&utm_campaign={{{{campaign}}}}', '{{start}}' FROM project;
""",
    "joins": """
INSERT INTO member_change (workspace_id, community_id, member, at, joined, project_id, invite_link, recorded_at)
SELECT m.workspace_id, m.id, decode(md5(m.id::text || (CASE WHEN n % 5 = 4 THEN n - 4 ELSE n END)), 'hex'), at,
       n % 5 < 4, m.project_id, CASE WHEN n % 5 = 1 THEN i.address END, at
FROM community m
JOIN project p ON p.workspace_id = m.workspace_id AND p.id = m.project_id
CROSS JOIN generate_series(0, {age} * 8 * CASE p.title WHEN 'Client 0' THEN 10 ELSE 1 END - 1) n
CROSS JOIN LATERAL (SELECT '{start}'::timestamptz
    + n * interval '3 hours' / CASE p.title WHEN 'Client 0' THEN 10 ELSE 1 END AS at) t
LEFT JOIN campaign c ON n % 5 = 1 AND c.workspace_id = m.workspace_id AND c.project_id = m.project_id
    AND c.title = 'Campaign ' || floor(extract(epoch FROM at - '{start}') / 604800)::int || '.1'
LEFT JOIN campaign_invite_link i ON i.workspace_id = c.workspace_id AND i.campaign_id = c.id
WHERE m.platform = 'telegram';
INSERT INTO member_day (workspace_id, community_id, day, project_id, joins, leaves, first_joins)
SELECT workspace_id, community_id, (m.at AT TIME ZONE '{zone}')::date, project_id, count(*) FILTER (WHERE joined),
       count(*) FILTER (WHERE NOT joined), count(*) FILTER (WHERE joined AND m.at = first.at)
FROM member_change m
LEFT JOIN (
    SELECT workspace_id, community_id, member, min(at) AS at FROM member_change WHERE joined GROUP BY 1, 2, 3
) first USING (workspace_id, community_id, member)
GROUP BY 1, 2, 3, 4;
""",
    "goals": f"""
INSERT INTO goal (workspace_id, id, project_id, type, kpi, is_main, status, revision, agreed_revision, pace, version,
        created_at, updated_at, closed_at)
SELECT p.workspace_id, uuidv7(at - now() + make_interval(secs => share)), p.id,
       (ARRAY['traffic', 'awareness', 'support'])[1 + month % 3],
       (ARRAY['clicks', 'engagement', 'first_response_time'])[1 + month % 3],
       share = 1 AND (month = {{age}} / 30 OR month < {{age}} / 30 - 1),
       CASE WHEN month >= {{age}} / 30 - 1
            THEN CASE share % 4 WHEN 3 THEN 'proposed' WHEN 2 THEN 'declined' ELSE 'agreed' END
            WHEN month % 20 = 7 THEN 'withdrawn' ELSE 'ended' END,
       2, CASE WHEN share % 4 = 3 THEN NULL ELSE 2 END,
       (ARRAY['on_track', 'at_risk', 'off_track', 'met', 'missed', 'unknown'])[1 + month % 6], 3, at, at,
       CASE WHEN month < {{age}} / 30 - 1 THEN at + interval '30 days' END
FROM project p, {_SHARES}, generate_series(0, {{age}} / 30) month,
     LATERAL (SELECT '{{start}}'::timestamptz + make_interval(days => 30 * month) AS at);
INSERT INTO goal_revision (workspace_id, id, project_id, goal_id, number, title, kpi, kpi_version, communities,
        baseline, target, first_day, last_day, timezone, is_main, content_hash, proposed_by, proposer_name, proposed_at)
SELECT workspace_id, uuidv7(created_at - now()), project_id, id, n, 'More of ' || kpi, kpi, 1, '[]',
       '{{{{"source": "measured", "level": 120.5, "value": 120.5, "from": "2026-01-01", "to": "2026-01-30",
          "known_days": 30, "status": "ok", "as_of": "2026-01-31T00:00:00Z", "reason": null}}}}', 400,
       created_at::date, created_at::date + 29, '{{zone}}', is_main, md5(id::text || n), 'system', 'Anna', created_at
FROM goal, generate_series(1, 2) n;
INSERT INTO goal_agreement (workspace_id, id, project_id, goal_id, revision, content_hash, side, answer, actor, name,
        stated_at)
SELECT workspace_id, uuidv7(proposed_at - now() + make_interval(mins => number::int)), project_id, goal_id, number,
       content_hash, side, CASE side WHEN 'agency' THEN 'propose' WHEN 'client' THEN 'agree' END, 'system', 'Anna',
       proposed_at
FROM goal_revision, unnest(ARRAY['agency', 'client']) side;
INSERT INTO goal_progress (workspace_id, id, project_id, goal_id, day, revision, as_of, value, status, expected, path,
        pace, forecast, scorecard)
SELECT workspace_id, uuidv7(), project_id, id, created_at::date + n, 2, created_at + make_interval(days => n + 1),
       10 * n, 'ok', 13 * n, 'weekly_season', pace,
       '{{{{"for": "2026-11-08", "value": 410.5, "low": 380.25, "high": 440.75, "method": "median_week",
          "history_days": 120, "reason": null}}}}',
       '{{{{"judged": 120, "within": 97, "share": 0.8083}}}}'
FROM goal, generate_series(0, 29) n WHERE created_at + make_interval(days => n) < '{{now}}';
INSERT INTO goal_forecast (workspace_id, id, project_id, goal_id, revision, made_on, for_day, value, low, high, method,
        truth, is_within, judged_at)
SELECT workspace_id, uuidv7(), project_id, id, 2, created_at::date + n, created_at::date + 29, 410.5, 380.25, 440.75,
       'median_week', CASE WHEN over THEN 400 END, CASE WHEN over THEN n % 5 > 0 END,
       CASE WHEN over THEN created_at + interval '30 days' END
FROM goal, generate_series(0, 28) n,
     LATERAL (SELECT created_at + interval '30 days' < '{{now}}' AS over)
WHERE created_at + make_interval(days => n) < '{{now}}';
INSERT INTO correction (workspace_id, id, project_id, goal_id, kpi, community_ids, hypothesis, change, changed_on,
        review_on, status, effect, creator_name, created_by, created_at, measured_at)
SELECT workspace_id, uuidv7(created_at - now() + make_interval(days => n)), project_id, id, kpi, '[]',
       'Posts come too late in the day.', 'Posts at noon.', created_at::date + n, created_at::date + n + 14,
       CASE WHEN n = 5 THEN 'withdrawn' WHEN over THEN 'measured' ELSE 'open' END, NULL, 'Anna', 'system',
       created_at + make_interval(days => n),
       CASE WHEN over AND n <> 5 THEN created_at + make_interval(days => n + 14) END
FROM goal, unnest(ARRAY[5, 9]) n,
     LATERAL (SELECT created_at + make_interval(days => n + 14) < '{{now}}' AS over);
""",
    "alerts": """
INSERT INTO alert (workspace_id, id, kind, project_id, subject_id, since, facts, status, opened_at, ended_at)
SELECT workspace_id, uuidv7(opened_at - now() + interval '1 hour'), 'inquiry-waiting', project_id, id, opened_at,
       '{{"community": "Community"}}',
       CASE WHEN status <> 'open' THEN 'ended' WHEN thread_id LIKE '%3' THEN 'acknowledged' ELSE 'open' END,
       opened_at + interval '1 hour', CASE WHEN status <> 'open' THEN first_answered_at END
FROM inquiry
WHERE opened_at < '{now}'::timestamptz - interval '1 hour' AND (status = 'open' OR thread_id LIKE '%77');
INSERT INTO alert_delivery (workspace_id, id, alert_id, user_id, channel, status, planned_at, due_at, message_id,
        sent_at, unsettled)
SELECT a.workspace_id, uuidv7(a.opened_at - now()), a.id, s.user_id, 'mail', 'sent', a.opened_at, a.opened_at,
       uuidv7(), a.opened_at, 0
FROM alert a JOIN project_seat s ON s.workspace_id = a.workspace_id AND s.project_id = a.project_id
    AND s.seat = 'community_manager'
WHERE a.status <> 'open' OR a.opened_at < '{now}'::timestamptz - interval '1 day';
""",
    "clients": """
INSERT INTO contact (workspace_id, id, project_id, name, email, language, created_at, removed_at)
SELECT workspace_id, uuidv7(), id, 'Contact ' || n,
       CASE WHEN n % 5 > 0 THEN 'contact' || n || '@client.example' END, 'ru', created_at,
       CASE WHEN n % 5 = 0 THEN '{now}'::timestamptz END
FROM project, generate_series(1, 10) n;
INSERT INTO client_link (workspace_id, id, project_id, contact_id, purpose, subject_kind, subject_id, created_by,
        created_at, expires_at, revoked_at, used_at, opens, first_opened_at, last_opened_at, mail)
SELECT s.workspace_id, uuidv7(at - now()), s.project_id, c.id, s.purpose, s.kind, s.id, 'system', at,
       at + interval '14 days', CASE WHEN n % 10 = 1 THEN at + interval '1 day' END,
       CASE WHEN n % 10 > 2 THEN at + interval '1 day' END, 2, at, at, 'sent'
FROM (
    SELECT *, row_number() OVER (PARTITION BY project_id ORDER BY at, id) AS n FROM (
        SELECT workspace_id, project_id, id, 'goal' AS kind, 'agree' AS purpose, created_at AS at FROM goal
        UNION ALL
        SELECT workspace_id, project_id, id, 'post', 'approve', created_at FROM post
        WHERE origin = 'planned' AND id::text LIKE '%0'
    ) every
) s
JOIN contact c ON c.workspace_id = s.workspace_id AND c.project_id = s.project_id
    AND c.name = 'Contact ' || 1 + s.n % 10;
INSERT INTO client_statement (workspace_id, id, project_id, client_link_id, contact_id, contact_name, purpose,
        subject_kind, subject_id, revision, content_hash, answer, stated_at)
SELECT workspace_id, uuidv7(used_at - now()), project_id, id, contact_id, 'Contact', purpose, subject_kind, subject_id,
       '1', md5(id::text), CASE purpose WHEN 'agree' THEN 'agree' ELSE 'approve' END, used_at
FROM client_link WHERE used_at IS NOT NULL;
""",
    "record": """
INSERT INTO audit_entry (workspace_id, id, at, actor, action, project_id, entity_id, subject)
SELECT workspace_id, uuidv7(created_at - now()), created_at, 'user:' || workspace_id, 'campaigns.create', project_id,
       id,
       json_build_object('campaign_id', id)
FROM campaign WHERE created_at < '{now}';
INSERT INTO audit_entry (workspace_id, id, at, actor, action, project_id, entity_id, subject)
SELECT workspace_id, uuidv7(created_at - now()), created_at, 'user:' || workspace_id, 'goals.create', project_id, id,
       json_build_object('goal_id', id)
FROM goal;
""",
}
