/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "service/svc.h"

#define API "/api/v1"
#define WHO_ALL (WHO_ANYONE | WHO_DEVICE | WHO_READ | WHO_AUTHOR)
#define WHO_SEE (WHO_READ | WHO_AUTHOR)

/* clang-format off */
const struct route routes[] = {
	/* the service itself */
	{ METHOD_GET, "/healthz", WHO_ALL, ROUTE_NO_BODY, svc_healthz, "the process answers" },
	{ METHOD_GET, "/readyz", WHO_ALL, ROUTE_NO_BODY, svc_readyz, "the store can be written" },
	{ METHOD_GET, "/metrics", WHO_READ, ROUTE_NO_BODY | ROUTE_UNSCOPED, svc_metrics, "figures for Prometheus" },
	{ METHOD_GET, API "/status", WHO_SEE, ROUTE_NO_BODY, svc_status, "one look at the service" },
	{ METHOD_GET, API "/openapi.json", WHO_ALL, ROUTE_NO_BODY, svc_openapi, "this interface, described" },

	/* images and uploads */
	{ METHOD_POST, API "/images", WHO_AUTHOR, ROUTE_UPLOAD | ROUTE_UNSCOPED, svc_nothing, "hand in an image" },
	{ METHOD_GET, API "/images", WHO_SEE, ROUTE_NO_BODY, svc_image_list, "images held" },
	{ METHOD_GET, API "/images/<digest>", WHO_SEE, ROUTE_NO_BODY, svc_image_show, "one image" },
	{ METHOD_GET, API "/images/<digest>/content", WHO_READ, ROUTE_NO_BODY, svc_image_content, "its bytes" },
	{ METHOD_DELETE, API "/images/<digest>", WHO_OPERATE, ROUTE_NO_BODY | ROUTE_UNSCOPED, svc_image_remove, "remove an image nothing names" },
	{ METHOD_GET, API "/uploads/<name>", WHO_AUTHOR, ROUTE_NO_BODY | ROUTE_UNSCOPED, svc_upload_show, "how far an upload came" },
	{ METHOD_PATCH, API "/uploads/<name>", WHO_AUTHOR, ROUTE_UPLOAD | ROUTE_UNSCOPED, svc_nothing, "continue an upload" },
	{ METHOD_DELETE, API "/uploads/<name>", WHO_AUTHOR, ROUTE_NO_BODY | ROUTE_UNSCOPED, svc_upload_remove, "give up an upload" },

	/* manifests, releases, anchors */
	{ METHOD_POST, API "/manifests", WHO_AUTHOR, ROUTE_UNSCOPED, svc_manifest_add, "hand in a signed manifest" },
	{ METHOD_GET, API "/manifests", WHO_SEE, ROUTE_NO_BODY, svc_manifest_list, "manifests held" },
	{ METHOD_GET, API "/manifests/<digest>", WHO_SEE, ROUTE_NO_BODY, svc_manifest_show, "what one says" },
	{ METHOD_GET, API "/manifests/<digest>/content", WHO_SEE, ROUTE_NO_BODY, svc_manifest_content, "its bytes as signed" },
	{ METHOD_DELETE, API "/manifests/<digest>", WHO_OPERATE, ROUTE_NO_BODY | ROUTE_UNSCOPED, svc_manifest_remove, "remove one no release names" },
	{ METHOD_POST, API "/releases", WHO_AUTHOR, ROUTE_DOC | ROUTE_UNSCOPED, svc_release_add, "make a release of a manifest" },
	{ METHOD_GET, API "/releases", WHO_SEE, ROUTE_NO_BODY, svc_release_list, "releases" },
	{ METHOD_GET, API "/releases/<id>", WHO_SEE, ROUTE_NO_BODY, svc_release_show, "one release" },
	{ METHOD_PATCH, API "/releases/<id>", WHO_OPERATE, ROUTE_DOC | ROUTE_UNSCOPED, svc_release_edit, "change its urgency" },
	{ METHOD_POST, API "/releases/<id>/approve", WHO_OPERATE, ROUTE_DOC_OPT | ROUTE_UNSCOPED, svc_release_approve, "let it be offered" },
	{ METHOD_POST, API "/releases/<id>/publish", WHO_OPERATE, ROUTE_DOC_OPT | ROUTE_UNSCOPED, svc_release_publish, "show it to anyone, or no more" },
	{ METHOD_POST, API "/releases/<id>/withdraw", WHO_OPERATE, ROUTE_DOC_OPT | ROUTE_UNSCOPED, svc_release_withdraw, "take it back" },
	{ METHOD_POST, API "/anchors", WHO_ADMIN, ROUTE_CONTROL_ONLY | ROUTE_DOC, svc_anchor_add, "trust a key for a vendor" },
	{ METHOD_GET, API "/anchors", WHO_SEE, ROUTE_NO_BODY, svc_anchor_list, "trust anchors" },
	{ METHOD_GET, API "/anchors/<id>", WHO_SEE, ROUTE_NO_BODY, svc_anchor_show, "one trust anchor" },
	{ METHOD_POST, API "/anchors/<id>/revoke", WHO_ADMIN, ROUTE_CONTROL_ONLY | ROUTE_DOC_OPT, svc_anchor_revoke, "trust it no more" },

	/* devices, credentials, groups */
	{ METHOD_POST, API "/devices", WHO_OPERATE, ROUTE_DOC, svc_devices_add, "enrol a device" },
	{ METHOD_GET, API "/devices", WHO_READ, ROUTE_NO_BODY, svc_devices_list, "devices, q filters" },
	{ METHOD_POST, API "/devices/import", WHO_OPERATE, 0, svc_devices_import, "enrol many: NDJSON or CSV" },
	{ METHOD_GET, API "/devices/<id>", WHO_READ, ROUTE_NO_BODY | ROUTE_DEVICE, svc_devices_show, "one device" },
	{ METHOD_PATCH, API "/devices/<id>", WHO_OPERATE, ROUTE_DOC | ROUTE_DEVICE, svc_devices_edit, "change what is assigned" },
	{ METHOD_DELETE, API "/devices/<id>", WHO_OPERATE, ROUTE_NO_BODY | ROUTE_DEVICE, svc_devices_remove, "forget a device" },
	{ METHOD_GET, API "/devices/<id>/history", WHO_READ, ROUTE_NO_BODY | ROUTE_DEVICE, svc_devices_history, "every change of state" },
	{ METHOD_GET, API "/devices/<id>/why", WHO_READ, ROUTE_NO_BODY | ROUTE_DEVICE, svc_devices_why, "the gates and what decides them" },
	{ METHOD_POST, API "/devices/<id>/credentials", WHO_OPERATE, ROUTE_DOC | ROUTE_DEVICE | ROUTE_SECRET, svc_credential_add, "give it a key or a token" },
	{ METHOD_GET, API "/devices/<id>/credentials", WHO_READ, ROUTE_NO_BODY | ROUTE_DEVICE, svc_credential_list, "its credentials" },
	{ METHOD_DELETE, API "/devices/<id>/credentials/<n>", WHO_OPERATE, ROUTE_NO_BODY | ROUTE_DEVICE, svc_credential_revoke, "revoke one" },
	{ METHOD_POST, API "/groups", WHO_OPERATE, ROUTE_DOC | ROUTE_UNSCOPED, svc_group_add, "make a group" },
	{ METHOD_GET, API "/groups", WHO_READ, ROUTE_NO_BODY, svc_group_list, "groups" },
	{ METHOD_DELETE, API "/groups/<name>", WHO_OPERATE, ROUTE_NO_BODY | ROUTE_UNSCOPED, svc_group_remove, "remove a group, not its devices" },
	{ METHOD_PUT, API "/groups/<name>/devices/<id>", WHO_OPERATE, ROUTE_DOC_OPT, svc_group_join, "put a device into it" },
	{ METHOD_DELETE, API "/groups/<name>/devices/<id>", WHO_OPERATE, ROUTE_NO_BODY, svc_group_leave, "take a device out" },

	/* rollouts, updates, jobs */
	{ METHOD_POST, API "/rollouts", WHO_OPERATE, ROUTE_DOC, svc_rollout_add, "plan a release for devices" },
	{ METHOD_GET, API "/rollouts", WHO_READ, ROUTE_NO_BODY, svc_rollout_list, "rollouts" },
	{ METHOD_GET, API "/rollouts/<id>", WHO_READ, ROUTE_NO_BODY, svc_rollout_show, "one rollout" },
	{ METHOD_POST, API "/rollouts/<id>/start", WHO_OPERATE, ROUTE_DOC_OPT, svc_rollout_start, "begin offering" },
	{ METHOD_POST, API "/rollouts/<id>/pause", WHO_OPERATE, ROUTE_DOC_OPT, svc_rollout_pause, "offer no more for now" },
	{ METHOD_POST, API "/rollouts/<id>/resume", WHO_OPERATE, ROUTE_DOC_OPT, svc_rollout_resume, "go on" },
	{ METHOD_POST, API "/rollouts/<id>/abort", WHO_OPERATE, ROUTE_DOC_OPT, svc_rollout_abort, "end it, cancel what is planned" },
	{ METHOD_GET, API "/updates", WHO_READ, ROUTE_NO_BODY, svc_update_list, "updates of devices" },
	{ METHOD_GET, API "/updates/<id>", WHO_READ, ROUTE_NO_BODY, svc_update_show, "one update" },
	{ METHOD_GET, API "/jobs", WHO_SEE, ROUTE_NO_BODY, svc_job_list, "long work" },
	{ METHOD_GET, API "/jobs/<id>", WHO_SEE, ROUTE_NO_BODY, svc_job_show, "one job" },
	{ METHOD_POST, API "/jobs/<id>/cancel", WHO_OPERATE, ROUTE_DOC_OPT, svc_job_cancel, "stop one" },

	/* people, policy, audit */
	{ METHOD_POST, API "/tokens", WHO_ADMIN, ROUTE_CONTROL_ONLY | ROUTE_DOC | ROUTE_SECRET, svc_token_add, "make an operator's token" },
	{ METHOD_GET, API "/tokens", WHO_ADMIN, ROUTE_CONTROL_ONLY | ROUTE_NO_BODY, svc_token_list, "operators' tokens" },
	{ METHOD_POST, API "/tokens/<id>/revoke", WHO_ADMIN, ROUTE_CONTROL_ONLY | ROUTE_DOC_OPT, svc_token_revoke, "end a token" },
	{ METHOD_POST, API "/operators", WHO_ADMIN, ROUTE_CONTROL_ONLY | ROUTE_DOC, svc_operator_add, "give a local user a role" },
	{ METHOD_GET, API "/operators", WHO_ADMIN, ROUTE_CONTROL_ONLY | ROUTE_NO_BODY, svc_operator_list, "local users with a role" },
	{ METHOD_DELETE, API "/operators/<uid>", WHO_ADMIN, ROUTE_CONTROL_ONLY | ROUTE_NO_BODY, svc_operator_remove, "take it away" },
	{ METHOD_GET, API "/policies/settings", WHO_READ, ROUTE_NO_BODY, svc_policy_show, "policy in force" },
	{ METHOD_PUT, API "/policies/settings", WHO_OPERATE, ROUTE_DOC | ROUTE_UNSCOPED, svc_policy_set, "change policy" },
	{ METHOD_GET, API "/audit", WHO_READ, ROUTE_NO_BODY | ROUTE_UNSCOPED, svc_audit_list, "what people decided" },
	{ METHOD_GET, API "/audit/verify", WHO_READ, ROUTE_NO_BODY | ROUTE_UNSCOPED, svc_audit_verify, "check the chain" },

	/* what devices use; "/d/" is "/device/" */
	{ METHOD_PUT, "/device/<id>", WHO_DEVICE, ROUTE_OWN_DEVICE | ROUTE_DOC, svc_device_register, "register or refresh" },
	{ METHOD_GET, "/device/<id>/update", WHO_DEVICE, ROUTE_OWN_DEVICE | ROUTE_NO_BODY, svc_device_update, "its offer" },
	{ METHOD_POST, "/device/<id>/decision", WHO_DEVICE, ROUTE_OWN_DEVICE | ROUTE_DOC, svc_device_decision, "accept, defer, reject" },
	{ METHOD_POST, "/device/<id>/report", WHO_DEVICE, ROUTE_OWN_DEVICE, svc_device_report, "how it goes" },

	/* bytes, and finding them */
	{ METHOD_GET, "/image/<sha256>", WHO_ALL, ROUTE_NO_BODY, svc_object_image, "an image's bytes" },
	{ METHOD_GET, "/manifest/<sha256>", WHO_ALL, ROUTE_NO_BODY, svc_object_manifest, "a manifest as signed" },
	{ METHOD_GET, "/.well-known/core", WHO_ALL, ROUTE_NO_BODY, svc_core, "what the asker may see" },
	{ METHOD_GET, "/.well-known/firmware/<manufacturer>/<model>/<file>", WHO_ALL, ROUTE_NO_BODY, svc_wellknown, "newest published manifest, or the asker's own" },
	{ METHOD_GET, "/.well-known/manifest/<manufacturer>/<model>/<file>", WHO_ALL, ROUTE_NO_BODY, svc_wellknown, "the same" },
	{ METHOD_GET, "/.wellknown/firmware/<manufacturer>/<model>/<file>", WHO_ALL, ROUTE_NO_BODY, svc_wellknown, "the same" },
	{ METHOD_GET, "/.wellknown/manifest/<manufacturer>/<model>/<file>", WHO_ALL, ROUTE_NO_BODY, svc_wellknown, "the same" },
	{ METHOD_GET, "/<path...>", WHO_ALL, ROUTE_NO_BODY, svc_object_path, "the image a manifest's URI names" },
};
/* clang-format on */
const unsigned routes_count = sizeof(routes) / sizeof(routes[0]);
