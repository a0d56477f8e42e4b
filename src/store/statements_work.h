/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
/* See statements_fleet.h. */

/* Updates */
X(UPDATE_ADD, MAIN,
  "INSERT INTO updates (dev, rollout, release, phase, state, open, urgency, failure, attempt, "
  "deferrals, charged, reserved, manifest_fetched, late, progress, offer_boot, "
  "track_due, track_deadline, "
  "not_before, not_after, reason, created, changed, planned_phase, last_history) VALUES ($1, $2, "
  "$3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, "
  "$23, $24, 0)")
X(UPDATE_GET, MAIN, "SELECT " UPDATE_COLUMNS " FROM updates WHERE id = $1")
/* in the order of updates_open, so that what most reports are about needs no sorting */
X(UPDATE_RUNNING, MAIN,
  "SELECT " UPDATE_COLUMNS " FROM updates WHERE dev = $1 AND open = 1 AND state <> 'planned' "
  "AND state <> 'deferred' ORDER BY urgency, id LIMIT 1")
X(UPDATE_FIRST_WAITING, MAIN,
  "SELECT " UPDATE_COLUMNS " FROM updates WHERE dev = $1 AND open = 1 "
  "ORDER BY CASE WHEN state = 'deferred' THEN 0 ELSE 1 END, urgency, id LIMIT 1")
/* the open ones only: however long a device's past, it has few of them */
X(UPDATE_OPEN_LIST, MAIN,
  "SELECT " UPDATE_COLUMNS " FROM updates WHERE dev = $1 AND open = 1 "
  "ORDER BY CASE state WHEN 'planned' THEN 2 WHEN 'deferred' THEN 1 ELSE 0 END, urgency, id "
  "LIMIT $2")
X(UPDATE_LATEST, MAIN,
  "SELECT " UPDATE_COLUMNS " FROM updates WHERE dev = $1 AND state <> 'planned' "
  "ORDER BY id DESC LIMIT 1")
/* +rollout: by the device's index, a device has few updates */
X(UPDATE_OF, MAIN,
  "SELECT " UPDATE_COLUMNS " FROM updates WHERE dev = $1 AND +rollout = $2 "
  "ORDER BY id DESC LIMIT 1")
/*
 * An UPDATE that names an indexed column moves that index even when the value
 * stays, so there is one without, one with the state, one with the rest of the
 * open index; the due time is apart. store_update_put runs what is needed.
 */
X(UPDATE_KEYS, MAIN, "SELECT state, urgency, track_due FROM updates WHERE id = $1")
X(UPDATE_PUT, MAIN, "UPDATE updates SET " UPDATE_PLAIN " WHERE id = $16")
X(UPDATE_PUT_STATE, MAIN, "UPDATE updates SET " UPDATE_PLAIN ", state = $16 WHERE id = $17")
X(UPDATE_PUT_OPEN, MAIN,
  "UPDATE updates SET " UPDATE_PLAIN ", state = $16, open = $17, urgency = $18 WHERE id = $19")
X(UPDATE_PUT_DUE, MAIN, "UPDATE updates SET track_due = $1 WHERE id = $2")
/* once, when it joins, not with every report */
X(UPDATE_PHASE, MAIN, "UPDATE updates SET phase = $1 WHERE id = $2")
X(UPDATE_PROGRESS, MAIN, "UPDATE updates SET progress = $1, manifest_fetched = $2 WHERE id = $3")
X(UPDATE_LIST, MAIN, "SELECT " UPDATE_COLUMNS " FROM updates WHERE id > $1 ORDER BY id LIMIT $2")
X(UPDATE_LIST_DEV, MAIN,
  "SELECT " UPDATE_COLUMNS " FROM updates WHERE dev = $1 AND id > $2 ORDER BY id LIMIT $3")
X(UPDATE_LIST_ROLLOUT, MAIN,
  "SELECT " UPDATE_COLUMNS " FROM updates WHERE rollout = $1 AND id > $2 ORDER BY id LIMIT $3")
X(UPDATE_LIST_BOTH, MAIN,
  "SELECT " UPDATE_COLUMNS " FROM updates WHERE dev = $1 AND +rollout = $2 AND id > $3 "
  "ORDER BY id LIMIT $4")
X(UPDATE_BY_STATE, MAIN,
  "SELECT " UPDATE_COLUMNS " FROM updates WHERE rollout = $1 AND state = $2 AND id > $3 "
  "ORDER BY id LIMIT $4")
X(UPDATE_LIVING, MAIN,
  "SELECT u.id, u.planned_phase BETWEEN $1 AND $2, d.contact_interval_s, d.model, d.class_id, "
  "coalesce(l.track_seen, 0) "
  "FROM (SELECT id, dev, planned_phase FROM updates WHERE rollout = $3 AND state = 'planned' "
  "AND id > $4 ORDER BY id LIMIT $5) u CROSS JOIN devices d ON d.dev = u.dev "
  "LEFT JOIN device_live l ON l.dev = u.dev")
X(UPDATE_DUE, MAIN,
  "SELECT " UPDATE_COLUMNS " FROM updates WHERE track_due > 0 AND track_due <= $1 "
  "ORDER BY track_due, id LIMIT $2")
X(UPDATE_NEXT_DUE, MAIN,
  "SELECT track_due FROM updates WHERE track_due > 0 ORDER BY track_due LIMIT 1")

/*
 * A change of state and the end of its history in one. A row that is not as it was read is
 * left alone.
 */
X(UPDATE_MOVE, MAIN,
  "UPDATE updates SET " UPDATE_PLAIN ", state = $16, track_due = $17, last_history = $18 "
  "WHERE id = $19 AND last_history = $20 AND track_due = $21 AND urgency = $22 AND state = $23")
X(UPDATE_MOVE_OPEN, MAIN,
  "UPDATE updates SET " UPDATE_PLAIN ", state = $16, track_due = $17, last_history = $18, "
  "open = $19, urgency = $20 "
  "WHERE id = $21 AND last_history = $22 AND track_due = $23 AND urgency = $24 AND state = $25")

/* History: a chain from updates.last_history through prev */
X(HISTORY_APPEND, MAIN,
  "INSERT INTO history (prev, dev, upd, from_state, to_state, inferred, late, cause, at) "
  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
X(HISTORY_REMOVE, MAIN, "DELETE FROM history WHERE id = $1")
X(HISTORY_ADD, MAIN,
  "INSERT INTO history (prev, dev, upd, from_state, to_state, inferred, late, cause, at) "
  "SELECT last_history, $1, id, $2, $3, $4, $5, $6, $7 FROM updates WHERE id = $8")
X(HISTORY_LINK, MAIN, "UPDATE updates SET last_history = $1 WHERE id = $2")
X(HISTORY_LIST, MAIN, "SELECT " HISTORY_COLUMNS " FROM history WHERE id > $1 ORDER BY id LIMIT $2")
X(HISTORY_OF_UPDATE, MAIN,
  "WITH RECURSIVE chain (c_id, c_prev) AS ("
  "SELECT h.id, h.prev FROM updates u JOIN history h ON h.id = u.last_history "
  "WHERE u.id = $1 AND h.id > $2 UNION ALL "
  "SELECT h.id, h.prev FROM chain JOIN history h ON h.id = c_prev WHERE c_prev > $3) "
  "SELECT " HISTORY_COLUMNS " FROM chain JOIN history ON id = c_id ORDER BY id LIMIT $4")
X(HISTORY_OF_DEVICE, MAIN,
  "WITH RECURSIVE chain (c_id, c_prev) AS ("
  "SELECT h.id, h.prev FROM updates u JOIN history h ON h.id = u.last_history "
  "WHERE u.dev = $1 AND h.id > $2 UNION ALL "
  "SELECT h.id, h.prev FROM chain JOIN history h ON h.id = c_prev WHERE c_prev > $3) "
  "SELECT " HISTORY_COLUMNS " FROM chain JOIN history ON id = c_id ORDER BY id LIMIT $4")

/* Rollouts */
X(ROLLOUT_ADD, MAIN,
  "INSERT INTO rollouts (name, release, target, state, reason, urgency, budget, in_flight_window, "
  "total, planned, in_flight, deferred, failed, succeeded, timed_out, ended, made_by, created, "
  "started, finished, phase, track_due, etag, per_minute, max_in_flight, link_in_flight, "
  "bytes_per_s, link_bytes_per_s, update_order, focus, force, pause_at, auto_start, standing) "
  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, "
  "$20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34)")
X(ROLLOUT_GET, MAIN, "SELECT " ROLLOUT_COLUMNS " FROM rollouts WHERE id = $1")
X(ROLLOUT_BY_NAME, MAIN, "SELECT " ROLLOUT_COLUMNS " FROM rollouts WHERE name = $1")
X(ROLLOUT_PUT, MAIN,
  "UPDATE rollouts SET target = $1, state = $2, reason = $3, urgency = $4, budget = $5, "
  "in_flight_window = $6, started = $7, finished = $8, phase = $9, track_due = $10, "
  "approved_by = $11, etag = etag + 1 WHERE id = $12")
X(ROLLOUT_PACE, MAIN, "UPDATE rollouts SET pace_tat = $1, bytes_tat = $2 WHERE id = $3")
/* those a device that comes to match may still join */
/* +rollout: by the device's index, a device has few updates */
X(ROLLOUT_JOINABLE, MAIN,
  "SELECT r.id FROM (SELECT id FROM rollouts INDEXED BY rollouts_active WHERE state IN "
  "('creating', 'awaiting-approval', 'ready', 'running', 'paused') ORDER BY id LIMIT $1) r "
  "WHERE NOT EXISTS (SELECT 1 FROM updates u WHERE u.dev = $2 AND +u.rollout = r.id)")
X(ROLLOUT_DUE, MAIN,
  "SELECT " ROLLOUT_COLUMNS " FROM rollouts WHERE track_due > 0 AND state = 'running' "
  "AND track_due <= $1 ORDER BY track_due, id LIMIT $2")
X(ROLLOUT_NEXT_DUE, MAIN,
  "SELECT track_due FROM rollouts WHERE track_due > 0 AND state = 'running' "
  "ORDER BY track_due LIMIT 1")
X(STANDING_ADD, MAIN,
  "INSERT INTO standing_rollouts (name, enabled, urgency, spec, made_by, created, etag) "
  "VALUES ($1, $2, $3, $4, $5, $6, $7)")
X(STANDING_GET, MAIN, "SELECT " STANDING_COLUMNS " FROM standing_rollouts WHERE id = $1")
X(STANDING_BY_NAME, MAIN, "SELECT " STANDING_COLUMNS " FROM standing_rollouts WHERE name = $1")
X(STANDING_LIST, MAIN,
  "SELECT " STANDING_COLUMNS " FROM standing_rollouts WHERE id > $1 ORDER BY id LIMIT $2")
X(STANDING_PUT, MAIN,
  "UPDATE standing_rollouts SET enabled = $1, urgency = $2, spec = $3, etag = etag + 1 "
  "WHERE id = $4")
X(STANDING_REMOVE, MAIN, "DELETE FROM standing_rollouts WHERE id = $1")
X(STANDING_NEXT, MAIN,
  "SELECT " STANDING_COLUMNS " FROM standing_rollouts WHERE id > $1 AND enabled = 1 "
  "AND (urgency IS NULL OR urgency = $2) ORDER BY id LIMIT 1")
X(ROLLOUT_LIST, MAIN, "SELECT " ROLLOUT_COLUMNS " FROM rollouts WHERE id > $1 ORDER BY id LIMIT $2")
X(ROLLOUT_BY_RELEASE, MAIN,
  "SELECT " ROLLOUT_COLUMNS " FROM rollouts WHERE release = $1 AND id > $2 ORDER BY id LIMIT $3")
X(ROLLOUT_COUNT, MAIN,
  "UPDATE rollouts SET total = total + $1, planned = planned + $2, in_flight = in_flight + $3, "
  "deferred = deferred + $4, failed = failed + $5, succeeded = succeeded + $6, "
  "timed_out = timed_out + $7, ended = ended + $8 WHERE id = $9")
X(ROLLOUT_RESERVE, MAIN,
  "UPDATE rollouts SET in_flight = in_flight + 1 WHERE id = $1 AND state = 'running' AND "
  "((in_flight_window = 0 AND failed + in_flight < budget) OR "
  "(in_flight_window > 0 AND budget > 0 AND in_flight < in_flight_window AND failed <= budget))")
X(PHASE_ADD, MAIN,
  "INSERT INTO phases (rollout, number, percent, count, filter, success_percent, soak_s, "
  "timeout_s, total, done, failed, succeeded, opened, closed, not_before) "
  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)")
X(PHASE_LIST, MAIN,
  "SELECT " PHASE_COLUMNS " FROM phases WHERE rollout = $1 ORDER BY number LIMIT $2")
X(PHASE_PUT, MAIN,
  "UPDATE phases SET total = $1, done = $2, failed = $3, succeeded = $4, opened = $5, closed = $6, "
  "track_opened = $7 WHERE rollout = $8 AND number = $9")
X(PHASE_EXPECT, MAIN,
  "UPDATE phases SET expected = max(0, expected + $1) WHERE rollout = $2 AND number = $3")
X(ROLLOUT_FAILURE, MAIN,
  "INSERT INTO rollout_failures (rollout, failure, n) VALUES ($1, $2, max(0, $3)) "
  "ON CONFLICT (rollout, failure) DO UPDATE SET n = max(0, n + $4)")
X(ROLLOUT_FAILURES, MAIN, "SELECT failure, n FROM rollout_failures WHERE rollout = $1 LIMIT $2")

/* Links: what hangs below one parent. A device without one is on none. */
X(LINK_GET, MAIN, "SELECT in_flight, bytes_tat FROM links WHERE parent = $1")
X(LINK_MOVE, MAIN,
  "INSERT INTO links (parent, in_flight, bytes_tat) SELECT parent, max(0, $1), 0 FROM devices "
  "WHERE dev = $2 AND parent <> '' "
  "ON CONFLICT (parent) DO UPDATE SET in_flight = max(0, in_flight + $3)")
X(LINK_PACE, MAIN,
  "INSERT INTO links (parent, in_flight, bytes_tat) VALUES ($1, 0, $2) "
  "ON CONFLICT (parent) DO UPDATE SET bytes_tat = excluded.bytes_tat")
/* a device that changes its parent takes what it has in flight, and open, along */
X(LINK_CARRY, MAIN,
  "INSERT INTO links (parent, in_flight, bytes_tat) SELECT $1, count(*), 0 FROM updates "
  "WHERE dev = $2 AND open = 1 AND state <> 'planned' AND state <> 'deferred' "
  "ON CONFLICT (parent) DO UPDATE SET in_flight = max(0, in_flight + $3 * excluded.in_flight)")
X(ROLLOUT_LINK_CARRY, MAIN,
  "INSERT INTO rollout_links (rollout, parent, open) SELECT r.id, $1, 1 FROM updates u "
  "JOIN rollouts r ON r.id = u.rollout AND r.update_order = 'leaf-first' "
  "WHERE u.dev = $2 AND u.open = 1 "
  "ON CONFLICT (rollout, parent) DO UPDATE SET open = max(0, open + $3)")
X(ROLLOUT_LINK_GET, MAIN, "SELECT open FROM rollout_links WHERE rollout = $1 AND parent = $2")
X(ROLLOUT_LINK_MOVE, MAIN,
  "INSERT INTO rollout_links (rollout, parent, open) SELECT $1, parent, max(0, $2) FROM devices "
  "WHERE dev = $3 AND parent <> '' "
  "ON CONFLICT (rollout, parent) DO UPDATE SET open = max(0, open + $4)")
/* +rollout here and below: a device has few updates, a rollout may have all of the fleet's */
X(ROLLOUT_LINK_FILL, MAIN,
  "INSERT INTO rollout_links (rollout, parent, open) SELECT u.rollout, d.parent, 1 "
  "FROM devices d CROSS JOIN updates u ON u.dev = d.dev AND u.open = 1 "
  "WHERE d.dev > $1 AND d.dev <= $2 AND d.parent <> '' AND +u.rollout = $3 "
  "ON CONFLICT (rollout, parent) DO UPDATE SET open = open + 1")
/*
 * Below a device, by any number of steps up to the depth, those of this rollout that run, or may
 * begin: so many devices are looked at, the nearer ones first.
 */
X(BELOW_LIVING, MAIN,
  "WITH RECURSIVE below (dev, id, contact, model, class_id, depth) AS ("
  "SELECT dev, id, contact_interval_s, model, class_id, 1 FROM devices "
  "WHERE parent = $1 AND parent <> '' "
  "UNION ALL SELECT d.dev, d.id, d.contact_interval_s, d.model, d.class_id, b.depth + 1 "
  "FROM below b "
  "JOIN devices d ON d.parent = b.id AND d.parent <> '' WHERE b.depth < $2 LIMIT $3) "
  "SELECT b.id, u.state <> 'planned', b.contact, b.model, b.class_id, coalesce(l.track_seen, 0) "
  "FROM below b CROSS JOIN updates u ON u.dev = b.dev AND u.open = 1 "
  "LEFT JOIN device_live l ON l.dev = b.dev "
  "WHERE +u.rollout = $4 AND (u.state <> 'planned' OR u.attempt > 1 OR u.deferrals > 0 "
  "OR u.planned_phase BETWEEN $5 AND $6)")
/* those below one parent that wait in a rollout: some of them are woken */
X(LINK_WAITING, MAIN,
  "SELECT u.dev FROM (SELECT dev FROM devices WHERE parent = $1 AND parent <> '' LIMIT $2) d "
  "CROSS JOIN updates u ON u.dev = d.dev AND u.open = 1 "
  "WHERE +u.rollout = $3 AND +u.state = 'planned' LIMIT $4")

/* Jobs, idempotency, audit */
X(JOB_ADD, MAIN,
  "INSERT INTO jobs (kind, ref, cursor, done, total, state, made_by, result, created, finished, "
  "tries, due) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
X(JOB_GET, MAIN, "SELECT " JOB_COLUMNS " FROM jobs WHERE id = $1")
X(JOB_PUT, MAIN,
  "UPDATE jobs SET cursor = $1, done = $2, total = $3, result = $4, finished = $5, tries = $6, "
  "due = $7 WHERE id = $8")
X(JOB_PUT_STATE, MAIN, "UPDATE jobs SET state = $1 WHERE id = $2 AND state <> $3")
/* trust first: what is withdrawn must not wait behind what is planned */
X(JOB_NEXT, MAIN,
  "SELECT " JOB_COLUMNS " FROM jobs WHERE state = 'running' AND due <= $1 "
  "ORDER BY CASE WHEN kind = 'anchor-revoke' OR kind = 'release-withdraw' THEN 0 ELSE 1 END, "
  "id LIMIT 1")
X(JOB_FIRST_DUE, MAIN, "SELECT coalesce(min(due), 0) FROM jobs WHERE state = 'running'")
X(JOB_CURSOR, MAIN,
  "SELECT cursor FROM jobs WHERE state = 'running' AND kind = $1 AND ref = $2 "
  "ORDER BY id DESC LIMIT 1")
X(JOB_LIST, MAIN, "SELECT " JOB_COLUMNS " FROM jobs WHERE id > $1 ORDER BY id LIMIT $2")
X(JOB_INPUT_ADD, MAIN,
  "INSERT INTO job_inputs (job, media, scope, body, errors) VALUES ($1, $2, $3, $4, x'')")
X(JOB_INPUT_GET, MAIN, "SELECT media, scope, body, errors FROM job_inputs WHERE job = $1")
X(JOB_INPUT_SCOPE, MAIN, "SELECT scope FROM job_inputs WHERE job = $1")
X(JOB_INPUT_ERRORS, MAIN, "UPDATE job_inputs SET errors = $1 WHERE job = $2")
X(JOB_INPUT_DONE, MAIN, "UPDATE job_inputs SET body = x'' WHERE job = $1")
X(IDEMPOTENCY_GET, MAIN,
  "SELECT request, status, body FROM idempotency WHERE who = $1 AND key = $2")
X(IDEMPOTENCY_PUT, MAIN,
  "INSERT INTO idempotency (who, key, request, status, body, at) VALUES ($1, $2, $3, $4, $5, $6)")
X(IDEMPOTENCY_SWEEP, MAIN,
  "DELETE FROM idempotency WHERE id IN "
  "(SELECT id FROM idempotency ORDER BY id LIMIT $1) AND at < $2")
X(IDEMPOTENCY_KEEP, MAIN,
  "DELETE FROM idempotency WHERE who = $1 AND id <= "
  "(SELECT id FROM idempotency WHERE who = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)")
X(AUDIT_HEAD, MAIN, "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1")
X(AUDIT_ADD, MAIN,
  "INSERT INTO audit (id, at, who, verb, object, detail, prev, hash) "
  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
X(AUDIT_LIST, MAIN, "SELECT " AUDIT_COLUMNS " FROM audit WHERE id > $1 ORDER BY id LIMIT $2")
