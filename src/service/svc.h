/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_SERVICE_SVC_H
#define FETTLE_SERVICE_SVC_H

#include "service/internal.h"

/* The handlers of the route table, by subject: svc_<subject>.c. */
int svc_healthz(struct call *c, struct err *e);
int svc_readyz(struct call *c, struct err *e);
int svc_metrics(struct call *c, struct err *e);
int svc_status(struct call *c, struct err *e);
int svc_clock_accept(struct call *c, struct err *e);
int svc_openapi(struct call *c, struct err *e);
int svc_nothing(struct call *c, struct err *e);
int svc_image_list(struct call *c, struct err *e);
int svc_image_show(struct call *c, struct err *e);
int svc_image_content(struct call *c, struct err *e);
int svc_image_remove(struct call *c, struct err *e);
int svc_upload_show(struct call *c, struct err *e);
int svc_upload_remove(struct call *c, struct err *e);
int svc_manifest_add(struct call *c, struct err *e);
int svc_manifest_list(struct call *c, struct err *e);
int svc_manifest_show(struct call *c, struct err *e);
int svc_manifest_content(struct call *c, struct err *e);
int svc_manifest_remove(struct call *c, struct err *e);
int svc_release_add(struct call *c, struct err *e);
int svc_release_list(struct call *c, struct err *e);
int svc_release_show(struct call *c, struct err *e);
int svc_release_edit(struct call *c, struct err *e);
int svc_release_approve(struct call *c, struct err *e);
int svc_release_publish(struct call *c, struct err *e);
int svc_release_withdraw(struct call *c, struct err *e);
int svc_anchor_add(struct call *c, struct err *e);
int svc_anchor_list(struct call *c, struct err *e);
int svc_anchor_show(struct call *c, struct err *e);
int svc_anchor_revoke(struct call *c, struct err *e);
int svc_devices_add(struct call *c, struct err *e);
int svc_devices_list(struct call *c, struct err *e);
int svc_devices_import(struct call *c, struct err *e);
int svc_devices_show(struct call *c, struct err *e);
int svc_devices_edit(struct call *c, struct err *e);
int svc_devices_approve(struct call *c, struct err *e);
int svc_devices_remove(struct call *c, struct err *e);
int svc_devices_history(struct call *c, struct err *e);
int svc_devices_why(struct call *c, struct err *e);
int svc_devices_diag(struct call *c, struct err *e);
int svc_devices_ask_diag(struct call *c, struct err *e);
int svc_credential_add(struct call *c, struct err *e);
int svc_credential_list(struct call *c, struct err *e);
int svc_credential_revoke(struct call *c, struct err *e);
int svc_group_add(struct call *c, struct err *e);
int svc_group_list(struct call *c, struct err *e);
int svc_group_remove(struct call *c, struct err *e);
int svc_group_edit(struct call *c, struct err *e);
int svc_group_join(struct call *c, struct err *e);
int svc_group_leave(struct call *c, struct err *e);
int svc_window_add(struct call *c, struct err *e);
int svc_window_list(struct call *c, struct err *e);
int svc_window_show(struct call *c, struct err *e);
int svc_window_remove(struct call *c, struct err *e);
int svc_window_next(struct call *c, struct err *e);
int svc_rollout_add(struct call *c, struct err *e);
int svc_rollout_list(struct call *c, struct err *e);
int svc_rollout_show(struct call *c, struct err *e);
int svc_rollout_start(struct call *c, struct err *e);
int svc_rollout_pause(struct call *c, struct err *e);
int svc_rollout_resume(struct call *c, struct err *e);
int svc_rollout_abort(struct call *c, struct err *e);
int svc_standing_add(struct call *c, struct err *e);
int svc_standing_list(struct call *c, struct err *e);
int svc_standing_show(struct call *c, struct err *e);
int svc_standing_edit(struct call *c, struct err *e);
int svc_standing_remove(struct call *c, struct err *e);
enum step svc_standing_step(struct tracker *tk, struct job *j, struct err *e);
int svc_rollout_retry(struct call *c, struct err *e);
int svc_rollout_next(struct call *c, struct err *e);
int svc_rollout_clone(struct call *c, struct err *e);
int svc_rollout_approve(struct call *c, struct err *e);
int svc_rollout_deny(struct call *c, struct err *e);
int svc_rollout_why(struct call *c, struct err *e);
int svc_update_list(struct call *c, struct err *e);
int svc_update_show(struct call *c, struct err *e);
int svc_job_list(struct call *c, struct err *e);
int svc_job_show(struct call *c, struct err *e);
int svc_job_cancel(struct call *c, struct err *e);
int svc_token_add(struct call *c, struct err *e);
int svc_token_list(struct call *c, struct err *e);
int svc_token_revoke(struct call *c, struct err *e);
int svc_operator_add(struct call *c, struct err *e);
int svc_operator_list(struct call *c, struct err *e);
int svc_operator_remove(struct call *c, struct err *e);
int svc_policy_show(struct call *c, struct err *e);
int svc_policy_set(struct call *c, struct err *e);
int svc_policy_check(struct call *c, struct err *e);
int svc_policy_test(struct call *c, struct err *e);
int svc_audit_list(struct call *c, struct err *e);
int svc_audit_verify(struct call *c, struct err *e);
int svc_device_register(struct call *c, struct err *e);
int svc_device_update(struct call *c, struct err *e);
int svc_device_decision(struct call *c, struct err *e);
int svc_device_report(struct call *c, struct err *e);
int svc_device_diag(struct call *c, struct err *e);
int svc_object_image(struct call *c, struct err *e);
int svc_object_manifest(struct call *c, struct err *e);
int svc_core(struct call *c, struct err *e);
int svc_wellknown(struct call *c, struct err *e);
int svc_object_path(struct call *c, struct err *e);

/* What several subjects show of one another. */
/* Into c->device; outside the asker's scope it is not there. */
int call_load_device(struct call *c, unsigned hole, struct err *e);
int call_find_device(struct call *c, const char *id, struct err *e);
/*
 * An edit of c->device must satisfy the asker's scope before and after. Asked by itself after a
 * handler; by one that edits several, for each.
 */
int call_still_inside(struct call *c, struct err *e);
/* A kind of thing named by its digest, hole 0 of its routes; row: its model, of this size. */
struct goods {
	const char *what;
	size_t size;
	int (*get)(struct store *st, const struct digest *d, void *row, struct err *e);
	int (*list)(struct store *st, int64_t after, int limit, int64_t *ids, void *rows,
		    struct err *e);
	void (*put)(struct call *c, struct doc *d, const void *row);
	int (*reply)(struct call *c, uint16_t status, const void *row, struct err *e);
};
int goods_load(struct call *c, const struct goods *g, void *row, struct err *e);
int goods_show(struct call *c, const struct goods *g, struct err *e);
int goods_list(struct call *c, const struct goods *g, struct err *e);
/* By number or name. */
int hole_release(struct call *c, unsigned i, struct release *out, struct err *e);
int release_of_text(struct call *c, const char *text, struct release *out, struct err *e);
/*
 * The members of POST /rollouts into s, all but the release, which only the asker's words name;
 * a standing rollout is kept as the same members without name and release.
 */
int rollout_read_spec(const struct doc *body, struct rollout_spec *s, struct err *e);
void rollout_put_limits(struct arena *a, struct doc *d, const struct rollout_limits *l);
/* Made by the asker, within the scope it has; for who has none every one is. */
bool rollout_is_own(const struct call *c, const struct rollout *r);
/* By number or name, if the asker may see it; or the one the path names. */
int rollout_of_text(struct call *c, const char *text, struct rollout *r, struct err *e);
int rollout_of_call(struct call *c, struct rollout *r, struct err *e);
/* As the row is now. */
int rollout_reply(struct call *c, uint16_t status, const struct rollout *r, struct err *e);
/* With the job that goes with it: 202; without one (id 0): 200. */
int rollout_reply_job(struct call *c, const struct rollout *r, const struct job *j, struct err *e);
void doc_put_update(struct call *c, struct doc *d, const struct update *u);
int reply_image(struct call *c, uint16_t status, const struct image *i, struct err *e);
void doc_put_uuid(struct arena *a, struct doc *d, const char *key, const struct uuid *u);
void doc_put_job(struct call *c, struct doc *d, const struct job *j);
int reply_manifest(struct call *c, const struct digest *d, bool own, struct err *e);
/* Is it one of the members of POST /devices? */
bool device_has_member(const char *name);
/* Assigned members of a device from a body: shared by adding, editing, importing. */
int device_read_assigned(struct call *c, const struct doc *body, struct device *d, bool creating,
			 struct err *e);
int device_put_labels(struct call *c, const struct doc *body, const struct device *d,
		      struct err *e);
int device_add(struct call *c, const struct doc *body, struct device *d, struct err *e);
/*
 * Adding in parts: what can be told without writing; then its own rows, which go with it; then,
 * when it stays, what others keep of it (rollouts' counters, outages) and the audit log.
 */
int device_check(struct call *c, const struct doc *body, struct device *d, struct err *e);
int device_insert(struct call *c, const struct doc *body, struct device *d, struct err *e);
int device_note_added(struct call *c, const struct device *d, struct err *e);
/* Jobs that are the service's, for jobs_slice; kinds_ctx is the service. */
enum step svc_import_step(struct tracker *tk, struct job *j, struct err *e);
/* What an import's job found: "errors" in its document. */
int doc_put_import(struct call *c, struct doc *d, const struct job *j, struct err *e);

#endif
