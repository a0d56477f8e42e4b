/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

#include "cli/cli.h"

/* Every sentence fettle understands. A table: its length is its only complexity. */

#define END                                   \
	{                                     \
		NULL, OPTION_FLAG, NULL, NULL \
	}
#define OUTPUT                                                                                     \
	{                                                                                          \
		"output", OPTION_NEEDED, "FILE", "where to write it (or -o; - is standard output)" \
	}

static const struct option_spec doctor[] = {
	{ "accept-clock", OPTION_FLAG, NULL, "the clock is right: trust it (operators, here)" },
	END,
};
static const struct option_spec key_generate[] = {
	{ "alg", OPTION_VALUE, "ALG", "es256 (default), es384, es512 or ed25519" },
	OUTPUT,
	END,
};
static const struct option_spec manifest_create[] = {
	{ "image", OPTION_NEEDED_MULTI, "FILE[=COMPONENT[=URI]]", "an image of the update" },
	{ "sequence", OPTION_NEEDED, "N", "sequence number, higher than any before" },
	{ "vendor", OPTION_NEEDED, "DOMAIN|UUID", "vendor id (a domain becomes its UUID)" },
	{ "class", OPTION_NEEDED, "MODEL|UUID", "class id (a model becomes its UUID)" },
	{ "version", OPTION_VALUE, "V", "version, 1.2.3" },
	{ "uri", OPTION_VALUE, "URI", "where the image is fetched from" },
	{ "reference-uri", OPTION_VALUE, "URI", "where the manifest itself is found" },
	{ "priority", OPTION_VALUE, "N", "update priority: < 0 critical ... >= 200 low" },
	{ "use-before", OPTION_VALUE, "SECONDS",
	  "not to be used from this time on (epoch seconds)" },
	{ "text", OPTION_VALUE, "TEXT", "description for people" },
	{ "key", OPTION_VALUE, "FILE", "sign with this private key" },
	OUTPUT,
	END,
};
static const struct option_spec manifest_sign[] = {
	{ "key", OPTION_NEEDED, "FILE", "private key" },
	OUTPUT,
	END,
};
static const struct option_spec manifest_verify[] = {
	{ "anchor", OPTION_NEEDED_MULTI, "FILE", "public key that may have signed it" },
	END,
};
static const struct option_spec anchor_add[] = {
	{ "vendor", OPTION_NEEDED, "DOMAIN|UUID", "whose manifests it may sign" },
	{ "not-before", OPTION_VALUE, "TIME", "valid from (RFC 3339)" },
	{ "not-after", OPTION_VALUE, "TIME", "valid until (RFC 3339)" },
	END,
};
static const struct option_spec image_get[] = { OUTPUT, END };
static const struct option_spec release_add[] = {
	{ "name", OPTION_VALUE, "NAME", "instead of model-version" },
	END,
};
static const struct option_spec release_publish[] = {
	{ "off", OPTION_FLAG, NULL, "take it back from the well-known paths" },
	END,
};
static const struct option_spec release_withdraw[] = {
	{ "floor", OPTION_FLAG, NULL, "and raise the class's floor above it" },
	END,
};
static const struct option_spec release_set[] = {
	{ "urgency", OPTION_NEEDED, "CLASS", "critical, high, normal or low" },
	END,
};
static const struct option_spec device_add[] = {
	{ "auth", OPTION_VALUE, "none", "may be named by its path, on plain listeners only" },
	{ "mode", OPTION_VALUE, "MODE", "client, server or negotiated" },
	{ "vendor-id", OPTION_VALUE, "UUID", "vendor id" },
	{ "class-id", OPTION_VALUE, "UUID", "class id" },
	{ "manufacturer", OPTION_VALUE, "NAME", "manufacturer" },
	{ "model", OPTION_VALUE, "NAME", "model" },
	{ "parent", OPTION_VALUE, "ID", "the device it hangs on" },
	{ "contact-interval", OPTION_VALUE, "TIME", "how often it asks (30s, 15m, 12h)" },
	{ "tag", OPTION_MULTI, "TAG", "a tag" },
	{ "attr", OPTION_MULTI, "NAME=VALUE", "an assigned attribute" },
	END,
};
static const struct option_spec device_list[] = {
	{ "query", OPTION_VALUE, "FILTER",
	  "only these (or -q), e.g. 'model == lamp and tag in (lab)'" },
	END,
};
static const struct option_spec device_set[] = {
	{ "tag", OPTION_MULTI, "TAG", "the tags, all of them" },
	{ "no-tags", OPTION_FLAG, NULL, "no tags at all" },
	{ "attr", OPTION_MULTI, "NAME=VALUE", "an assigned attribute (NAME= takes it away)" },
	END,
};
static const struct option_spec device_import[] = {
	{ "csv", OPTION_FLAG, NULL, "the file is CSV, whatever its name" },
	END,
};
static const struct option_spec device_diag[] = {
	{ "ask", OPTION_FLAG, NULL, "ask it for diagnostics" },
	END,
};
static const struct option_spec credential_add[] = {
	{ "psk-file", OPTION_VALUE, "FILE", "pre-shared key in hex, for DTLS" },
	{ "identity", OPTION_VALUE, "NAME", "PSK identity instead of the device id" },
	{ "token", OPTION_FLAG, NULL, "make a token for HTTPS and show it once" },
	{ "days", OPTION_VALUE, "N", "valid this long (default: until revoked)" },
	END,
};
static const struct option_spec window_add[] = {
	{ "blackout", OPTION_FLAG, NULL, "never then, instead of only then" },
	{ "rrule", OPTION_VALUE, "RRULE", "instead of the short form (RFC 5545)" },
	{ "starts", OPTION_VALUE, "TIME", "what RRULE counts from, local: 2026-11-22T01:00:00" },
	{ "zone", OPTION_VALUE, "ZONE", "IANA time zone of RRULE" },
	{ "duration", OPTION_VALUE, "TIME", "how long each lasts: 90m, 4h" },
	END,
};
static const struct option_spec window_list[] = {
	{ "level", OPTION_VALUE, "LEVEL", "device, group, class or rollout, together with" },
	{ "ref", OPTION_VALUE, "REF", "which one" },
	END,
};
static const struct option_spec window_next[] = {
	{ "count", OPTION_VALUE, "N", "how many of each device (5, at most 32)" },
	{ "rollout", OPTION_VALUE, "ROLLOUT", "with this rollout's windows, too" },
	END,
};
/* How a rollout goes, whoever makes it. */
#define ROLLOUT_LIMITS                                                                          \
	{ "phase", OPTION_MULTI, "percent=10,success=90,soak=1h", "a phase" },                  \
		{ "budget", OPTION_VALUE, "N", "failed + in flight never exceed this" },        \
		{ "in-flight", OPTION_VALUE, "W", "allow W in flight whatever failed" },        \
		{ "per-minute", OPTION_VALUE, "N", "offers a minute" },                         \
		{ "max-in-flight", OPTION_VALUE, "N", "in flight in all, besides the budget" }, \
		{ "per-link", OPTION_VALUE, "N", "in flight below one parent" },                \
		{ "bytes-per-second", OPTION_VALUE, "N", "of images, in all" },                 \
		{ "link-bytes-per-second", OPTION_VALUE, "N", "of images, below one parent" },  \
		{ "order", OPTION_VALUE, "ORDER", "any, leaf-first or core-first" },            \
		{ "focus", OPTION_FLAG, NULL, "one device at a time below each parent" },       \
		{ "pause-at", OPTION_MULTI, "FAILURE=N",                                        \
		  "pause after so many failures of a class" },                                  \
		{ "force", OPTION_FLAG, NULL, "black-outs do not hold" },                       \
	{                                                                                       \
		"no-canary", OPTION_FLAG, NULL, "without --phase: nobody comes first"           \
	}
static const struct option_spec rollout_create[] = {
	{ "release", OPTION_NEEDED, "R", "what to roll out" },
	{ "target", OPTION_NEEDED, "FILTER", "to which devices ('all' for every one)" },
	ROLLOUT_LIMITS,
	{ "auto-start", OPTION_FLAG, NULL, "start as soon as it is planned" },
	{ "dry-run", OPTION_FLAG, NULL, "only say what it would do" },
	{ "no-wait", OPTION_FLAG, NULL, "do not wait until it is planned" },
	END,
};
static const struct option_spec standing_add[] = {
	{ "target", OPTION_NEEDED, "FILTER", "to which devices of the release's class" },
	ROLLOUT_LIMITS,
	{ "urgency", OPTION_VALUE, "CLASS", "only releases of this class" },
	{ "enable", OPTION_FLAG, NULL, "from now on (default: not yet)" },
	END,
};
static const struct option_spec policy_test[] = {
	{ "policy", OPTION_VALUE, "FILE", "judge by this policy (the manifest must be held)" },
	END,
};
static const struct option_spec policy_check[] = {
	{ "service", OPTION_FLAG, NULL, "ask the service, whose version may be another" },
	END,
};
static const struct option_spec reason[] = {
	{ "reason", OPTION_VALUE, "TEXT", "why, for the others" },
	END,
};
static const struct option_spec reason_force[] = {
	{ "reason", OPTION_VALUE, "TEXT", "why, for the others" },
	{ "force", OPTION_FLAG, NULL, "stop whoever has not begun to install" },
	END,
};
static const struct option_spec budget_raise[] = {
	{ "budget", OPTION_VALUE, "N", "allow more failures than before" },
	END,
};
static const struct option_spec rollout_clone[] = {
	{ "release", OPTION_VALUE, "R", "for another release" },
	END,
};
static const struct option_spec update_list[] = {
	{ "rollout", OPTION_VALUE, "R", "of this rollout" },
	{ "device", OPTION_VALUE, "ID", "of this device" },
	END,
};
static const struct option_spec token_create[] = {
	{ "role", OPTION_NEEDED, "ROLE", "viewer, author, operator or approver" },
	{ "days", OPTION_VALUE, "N", "valid this long (default 365)" },
	{ "scope", OPTION_VALUE, "FILTER", "only these devices" },
	END,
};
static const struct option_spec operator_add[] = {
	{ "uid", OPTION_NEEDED, "N", "user id on this machine" },
	{ "role", OPTION_NEEDED, "ROLE", "viewer, author, operator, approver or admin" },
	END,
};

const struct option_spec global_options[] = {
	{ "socket", OPTION_VALUE, "PATH", "the service's local socket" },
	{ "server", OPTION_VALUE, "URL", "https://HOST[:PORT] instead of the socket" },
	{ "token-file", OPTION_VALUE, "FILE", "the token to show to --server" },
	{ "ca", OPTION_VALUE, "FILE", "certificates to trust instead of the system's" },
	{ "json", OPTION_FLAG, NULL, "answer in JSON (may also follow the command)" },
	{ "help", OPTION_FLAG, NULL, "this list (behind a command: about it)" },
	{ "version", OPTION_FLAG, NULL, "the version" },
	END,
};

const struct command commands[] = {
	{ "status", cmd_status, NULL, "how the service is", "fettle status", false },
	{ "doctor", cmd_doctor, doctor, "look for what is wrong", "fettle doctor", false },
	{ "key generate", cmd_key_generate, key_generate, "make a signing key",
	  "fettle key generate --alg es256 -o author.pem", true },
	{ "key show <file>", cmd_key_show, NULL, "what kind of key it is",
	  "fettle key show author.pem", true },
	{ "key public <file>", cmd_key_public, NULL, "its public half, as PEM",
	  "fettle key public author.pem > anchor.pem", true },
	{ "manifest create", cmd_manifest_create, manifest_create, "make a SUIT manifest",
	  "fettle manifest create --image lamp.bin --sequence 7 --vendor example.com --class lamp "
	  "--key author.pem -o lamp.suit",
	  true },
	{ "manifest sign <file>", cmd_manifest_sign, manifest_sign, "add a signature",
	  "fettle manifest sign lamp.suit --key operator.pem -o signed.suit", true },
	{ "manifest verify <file>", cmd_manifest_verify, manifest_verify,
	  "check signature and rules", "fettle manifest verify lamp.suit --anchor anchor.pem",
	  true },
	{ "manifest inspect <file>", cmd_manifest_inspect, NULL, "show what it says",
	  "fettle manifest inspect lamp.suit", true },
	{ "anchor add <file>", cmd_anchor_add, anchor_add, "trust a public key for a vendor",
	  "fettle anchor add anchor.pem --vendor example.com", false },
	{ "anchor list", cmd_anchor_list, NULL, "the trust anchors", "fettle anchor list", false },
	{ "anchor show <id>", cmd_anchor_show, NULL, "one trust anchor", "fettle anchor show 1",
	  false },
	{ "anchor revoke <id>", cmd_anchor_revoke, NULL,
	  "trust it no more; its releases are withdrawn", "fettle anchor revoke 1", false },
	{ "image add <file>", cmd_image_add, NULL, "upload an image", "fettle image add lamp.bin",
	  false },
	{ "image list", cmd_image_list, NULL, "the images", "fettle image list", false },
	{ "image show <digest>", cmd_image_show, NULL, "one image", "fettle image show 9f86...",
	  false },
	{ "image get <digest>", cmd_image_get, image_get, "download an image",
	  "fettle image get 9f86... -o lamp.bin", false },
	{ "image remove <digest>", cmd_image_remove, NULL, "remove an image nothing refers to",
	  "fettle image remove 9f86...", false },
	{ "release add <manifest> [<image>...]", cmd_release_add, release_add,
	  "hand in a signed manifest and its images", "fettle release add lamp.suit lamp.bin",
	  false },
	{ "release list", cmd_release_list, NULL, "the releases", "fettle release list", false },
	{ "release show <release>", cmd_release_show, NULL, "one release",
	  "fettle release show lamp-1.2", false },
	{ "release approve <release>", cmd_release_approve, NULL, "let it be offered",
	  "fettle release approve lamp-1.2", false },
	{ "release publish <release>", cmd_release_publish, release_publish,
	  "let anyone find it at the well-known paths", "fettle release publish lamp-1.2", false },
	{ "release withdraw <release>", cmd_release_withdraw, release_withdraw, "offer it no more",
	  "fettle release withdraw lamp-1.2 --floor", false },
	{ "release set <release>", cmd_release_set, release_set, "change its urgency",
	  "fettle release set lamp-1.2 --urgency critical", false },
	{ "device add <id>", cmd_device_add, device_add, "enrol a device",
	  "fettle device add lamp-1 --mode client --tag lab", false },
	{ "device import <file>", cmd_device_import, device_import,
	  "enrol many: a JSON object a line, or CSV with a head line",
	  "fettle device import fleet.csv", false },
	{ "device list", cmd_device_list, device_list, "the devices",
	  "fettle device list --query 'model == lamp'", false },
	{ "device show <id>", cmd_device_show, NULL, "one device", "fettle device show lamp-1",
	  false },
	{ "device set <id> [<member=value>...]", cmd_device_set, device_set,
	  "change what is assigned (mode=, parent=, disabled=yes ...)",
	  "fettle device set lamp-1 parent=gw-2 disabled=no --tag lab", false },
	{ "device approve <id>", cmd_device_approve, NULL, "let in one that came by itself",
	  "fettle device approve lamp-1", false },
	{ "device why <id>", cmd_device_why, NULL, "why it was or was not updated",
	  "fettle device why lamp-1", false },
	{ "device diag <id>", cmd_device_diag, device_diag,
	  "the diagnostics it sent, newest first; or ask for some",
	  "fettle device diag lamp-1 --ask", false },
	{ "device history <id>", cmd_device_history, NULL, "what happened to it",
	  "fettle device history lamp-1", false },
	{ "device remove <id>", cmd_device_remove, NULL, "forget a device",
	  "fettle device remove lamp-1", false },
	{ "device credential add <id>", cmd_credential_add, credential_add,
	  "give it a way to log in", "fettle device credential add lamp-1 --psk-file key.hex",
	  false },
	{ "device credential list <id>", cmd_credential_list, NULL, "its credentials",
	  "fettle device credential list lamp-1", false },
	{ "device credential revoke <id> <number>", cmd_credential_revoke, NULL,
	  "take one away; open sessions end", "fettle device credential revoke lamp-1 3", false },
	{ "group add <name>", cmd_group_add, NULL, "make a group", "fettle group add north",
	  false },
	{ "group list", cmd_group_list, NULL, "the groups", "fettle group list", false },
	{ "group remove <name>", cmd_group_remove, NULL, "remove a group",
	  "fettle group remove north", false },
	{ "group join <name> <id>...", cmd_group_join, NULL, "put devices into it",
	  "fettle group join north lamp-1 lamp-2", false },
	{ "group leave <name> <id>...", cmd_group_leave, NULL, "take devices out of it",
	  "fettle group leave north lamp-1", false },
	{ "window add <level> <ref> [<window>]", cmd_window_add, window_add,
	  "when a device, a group, a class or a rollout may be updated",
	  "fettle window add class lamp 'Sat,Sun 01:00-05:00 Europe/Berlin'", false },
	{ "window list", cmd_window_list, window_list, "the windows and black-outs",
	  "fettle window list --level group --ref north", false },
	{ "window remove <number>", cmd_window_remove, NULL, "remove a window or a black-out",
	  "fettle window remove 3", false },
	{ "window next <id-or-expr>", cmd_window_next, window_next, "the next openings",
	  "fettle window next 'model == lamp' --count 2", false },
	{ "rollout create <name>", cmd_rollout_create, rollout_create, "plan a rollout",
	  "fettle rollout create spring --release lamp-1.2 --target 'model == lamp' --budget 5",
	  false },
	{ "rollout list", cmd_rollout_list, NULL, "the rollouts", "fettle rollout list", false },
	{ "rollout show <rollout>", cmd_rollout_show, NULL, "one rollout",
	  "fettle rollout show spring", false },
	{ "rollout start <rollout>", cmd_rollout_start, NULL, "begin to offer",
	  "fettle rollout start spring", false },
	{ "rollout pause <rollout>", cmd_rollout_pause, reason_force, "offer nothing new",
	  "fettle rollout pause spring --reason holidays", false },
	{ "rollout resume <rollout>", cmd_rollout_resume, budget_raise, "go on",
	  "fettle rollout resume spring", false },
	{ "rollout abort <rollout>", cmd_rollout_abort, reason_force, "cancel what has not begun",
	  "fettle rollout abort spring", false },
	{ "rollout retry <rollout>", cmd_rollout_retry, budget_raise,
	  "another attempt for what failed", "fettle rollout retry spring --budget 8", false },
	{ "rollout next <rollout>", cmd_rollout_next, NULL, "open the next phase",
	  "fettle rollout next spring", false },
	{ "rollout clone <rollout> <name>", cmd_rollout_clone, rollout_clone, "another one like it",
	  "fettle rollout clone spring summer --release lamp-1.3", false },
	{ "rollout approve <rollout>", cmd_rollout_approve, NULL, "let it start",
	  "fettle rollout approve spring", false },
	{ "rollout deny <rollout>", cmd_rollout_deny, reason, "end it before it starts",
	  "fettle rollout deny spring --reason 'not before the fair'", false },
	{ "rollout why <rollout>", cmd_rollout_why, NULL, "what holds it",
	  "fettle rollout why spring", false },
	{ "rollout watch <rollout>", cmd_rollout_watch, NULL, "follow it to its end",
	  "fettle rollout watch spring", false },
	{ "rollout standing add <name>", cmd_standing_add, standing_add,
	  "a rollout of each release that is approved",
	  "fettle rollout standing add lamps --target 'model == lamp' --budget 5 --enable", false },
	{ "rollout standing list", cmd_standing_list, NULL, "the standing rollouts",
	  "fettle rollout standing list", false },
	{ "rollout standing show <standing>", cmd_standing_show, NULL, "one standing rollout",
	  "fettle rollout standing show lamps", false },
	{ "rollout standing enable <standing>", cmd_standing_enable, NULL,
	  "for releases approved from now on", "fettle rollout standing enable lamps", false },
	{ "rollout standing disable <standing>", cmd_standing_disable, NULL,
	  "no more; its rollouts go on", "fettle rollout standing disable lamps", false },
	{ "rollout standing remove <standing>", cmd_standing_remove, NULL,
	  "remove it; its rollouts stay", "fettle rollout standing remove lamps", false },
	{ "update list", cmd_update_list, update_list, "updates of devices",
	  "fettle update list --rollout spring", false },
	{ "update show <id>", cmd_update_show, NULL, "one update", "fettle update show 12", false },
	{ "token create <name>", cmd_token_create, token_create, "make an API token, shown once",
	  "fettle token create ci --role author --days 30", false },
	{ "token list", cmd_token_list, NULL, "the tokens", "fettle token list", false },
	{ "token revoke <id>", cmd_token_revoke, NULL, "end a token at once",
	  "fettle token revoke 2", false },
	{ "operator add", cmd_operator_add, operator_add, "let a local user operate",
	  "fettle operator add --uid 1000 --role operator", false },
	{ "operator list", cmd_operator_list, NULL, "the local operators", "fettle operator list",
	  false },
	{ "operator remove <uid>", cmd_operator_remove, NULL, "no more",
	  "fettle operator remove 1000", false },
	{ "audit list", cmd_audit_list, NULL, "who did what", "fettle audit list", false },
	{ "audit verify", cmd_audit_verify, NULL, "check the audit log's hash chain",
	  "fettle audit verify", false },
	{ "job list", cmd_job_list, NULL, "long work", "fettle job list", false },
	{ "job show <id>", cmd_job_show, NULL, "how far it is", "fettle job show 4", false },
	{ "job cancel <id>", cmd_job_cancel, NULL, "stop it", "fettle job cancel 4", false },
	{ "policy show", cmd_policy_show, NULL, "the policy in force", "fettle --json policy show",
	  false },
	{ "policy check <file>", cmd_policy_check, policy_check,
	  "whether the service would take it, and what it would mean",
	  "fettle policy check policy.json", false },
	{ "policy test <manifest>", cmd_policy_test, policy_test,
	  "which urgency a manifest gets, and what was tried for it",
	  "fettle policy test lamp.suit", false },
	{ "policy set <file>", cmd_policy_set, NULL, "put a policy in force",
	  "fettle policy set policy.json", false },
};

const unsigned commands_count = sizeof(commands) / sizeof(commands[0]);
