/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_STORE_COLUMNS_H
#define FETTLE_STORE_COLUMNS_H

/* Columns in the order in which each entity's read function takes them. */

#define DEVICE_COLUMNS \
	"d.dev, d.id, d.auth, d.mode, d.registered, d.disabled, d.vendor_id, d.class_id, " \
	"d.manufacturer, d.model, d.parent, d.contact_interval_s, d.floor_sequence, d.held, " \
	"d.created, d.changed, d.etag, d.endpoint_host, d.capabilities, d.held_back, " \
	"d.ask_diag"
#define CREDENTIAL_COLUMNS "id, dev, kind, identity, secret, created, not_after, revoked"
#define ANCHOR_COLUMNS \
	"id, vendor, vendor_id, key_id, spki, alg, not_before, not_after, revoked, created, made_by"
#define TOKEN_COLUMNS "id, name, role, hash, scope, created, not_after, revoked, made_by"
#define IMAGE_COLUMNS "id, digest, size, created, made_by"
#define UPLOAD_COLUMNS \
	"id, kind, name, size, digest, durable, sealed, made_by, created, track_changed"
#define MANIFEST_COLUMNS \
	"id, digest, identity, size, format, vendor_id, class_id, manufacturer, model, version, " \
	"sequence, uri, text, priority, use_before, not_before, anchor, alg, verified, created, " \
	"made_by, urgency"
#define RELEASE_COLUMNS \
	"r.id, r.name, r.manifest, r.state, r.complete, r.published, r.vendor_id, r.class_id, " \
	"r.manufacturer, r.model, r.version, r.sequence, r.urgency, r.urgency_by, r.outage_s, " \
	"r.made_by, r.approved_by, r.created, r.approved, r.etag"
#define ROLLOUT_COLUMNS \
	"id, name, release, target, state, reason, urgency, budget, in_flight_window, total, " \
	"planned, in_flight, deferred, failed, succeeded, timed_out, ended, made_by, created, " \
	"started, finished, phase, track_due, etag, per_minute, max_in_flight, link_in_flight, " \
	"bytes_per_s, link_bytes_per_s, update_order, focus, force, pause_at, pace_tat, " \
	"bytes_tat, " \
	"auto_start, standing, approved_by"
#define PHASE_COLUMNS \
	"rollout, number, percent, count, filter, success_percent, soak_s, timeout_s, total, " \
	"done, failed, succeeded, opened, closed, expected, not_before, track_opened"
#define STANDING_COLUMNS "id, name, enabled, urgency, spec, made_by, created, etag"
#define UPDATE_COLUMNS \
	"id, dev, rollout, release, phase, state, urgency, failure, attempt, deferrals, charged, " \
	"reserved, manifest_fetched, late, progress, offer_boot, track_due, track_deadline, " \
	"not_before, not_after, reason, created, changed, last_history, planned_phase, " \
	"track_changed"
/* set by every statement that puts an update */
#define UPDATE_PLAIN \
	"failure = $1, attempt = $2, deferrals = $3, charged = $4, reserved = $5, " \
	"manifest_fetched = $6, late = $7, progress = $8, offer_boot = $9, track_deadline = $10, " \
	"not_before = $11, not_after = $12, reason = $13, changed = $14, " \
	"track_changed = $15"
#define HISTORY_COLUMNS "id, upd, dev, from_state, to_state, inferred, late, cause, at"
#define JOB_COLUMNS \
	"id, kind, ref, cursor, done, total, state, made_by, result, created, finished, " \
	"tries, due"
#define CALL_COLUMNS \
	"dev, sent, due, serial, kind, want, upd, attempt, manifest, image, held, applied, " \
	"tries, runs, reason"
#define OUTAGE_COLUMNS "o.dev, o.upd, o.seconds, o.walked, o.until, o.told, o.acknowledged"
#define WINDOW_COLUMNS \
	"w.id, w.level, w.ref, w.class_id, w.model, w.reported, w.blackout, w.rrule, w.starts, " \
	"w.zone, w.duration_s, w.created, w.made_by"
#define AUDIT_COLUMNS "id, at, who, verb, object, detail, prev, hash"

#endif
