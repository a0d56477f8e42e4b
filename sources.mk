# Made by scripts/list-sources; run it after adding or removing a file.

noinst_LTLIBRARIES += libfettle.la
libfettle_la_SOURCES = \
	src/base/clock.c \
	src/base/clock.h \
	src/base/doc.c \
	src/base/doc.h \
	src/base/doc_read.c \
	src/base/err.c \
	src/base/err.h \
	src/base/filter.h \
	src/base/ids.c \
	src/base/ids.h \
	src/base/log.c \
	src/base/log.h \
	src/base/message.c \
	src/base/message.h \
	src/base/model.c \
	src/base/model.h \
	src/base/slice.c \
	src/base/slice.h \
	src/base/text.c \
	src/base/text.h \
	src/base/text_base64.c \
	src/base/text_ip.c \
	src/base/text_time.c \
	src/base/text_version.c \
	src/codec/cbor.c \
	src/codec/cbor.h \
	src/codec/cose.c \
	src/codec/cose.h \
	src/codec/crypto.c \
	src/codec/crypto.h \
	src/codec/crypto_cert.c \
	src/codec/crypto_cosekey.c \
	src/codec/crypto_internal.h \
	src/codec/crypto_key.c \
	src/codec/crypto_sign.c \
	src/codec/docfmt.c \
	src/codec/docfmt.h \
	src/codec/docfmt_cbor.c \
	src/codec/docfmt_cbor.h \
	src/codec/docfmt_keys.c \
	src/codec/docfmt_keys.h \
	src/codec/docfmt_problem.c \
	src/codec/json.c \
	src/codec/json.h \
	src/codec/suit.h \
	src/codec/suit_create.c \
	src/codec/suit_envelope.c \
	src/codec/suit_internal.h \
	src/codec/suit_machine.c \
	src/codec/suit_params.c \
	src/codec/suit_parse.c \
	src/codec/suit_print.c \
	src/codec/suit_report.c \
	src/codec/suit_text.c \
	src/codec/suit_worlds.c \
	src/codec/suit_worlds.h \
	src/ipc/channel.c \
	src/ipc/ipc.h \
	src/ipc/message.c \
	src/ipc/wire.c \
	src/service/device_msg.c \
	src/service/device_msg.h \
	src/service/etag.c \
	src/service/goods.c \
	src/service/idempotency.c \
	src/service/import_lines.c \
	src/service/import_lines.h \
	src/service/internal.h \
	src/service/page.c \
	src/service/params.c \
	src/service/principal.c \
	src/service/problem.c \
	src/service/reply.c \
	src/service/route.c \
	src/service/route.h \
	src/service/routes.c \
	src/service/secret.c \
	src/service/secret.h \
	src/service/seen.c \
	src/service/seen.h \
	src/service/sending.c \
	src/service/service.c \
	src/service/service.h \
	src/service/session.c \
	src/service/svc.h \
	src/service/svc_anchor.c \
	src/service/svc_audit.c \
	src/service/svc_core.c \
	src/service/svc_credential.c \
	src/service/svc_device.c \
	src/service/svc_devices.c \
	src/service/svc_devices_edit.c \
	src/service/svc_diag.c \
	src/service/svc_group.c \
	src/service/svc_image.c \
	src/service/svc_import.c \
	src/service/svc_manifest.c \
	src/service/svc_object.c \
	src/service/svc_policy.c \
	src/service/svc_release.c \
	src/service/svc_rollout.c \
	src/service/svc_rollout_spec.c \
	src/service/svc_rollout_verbs.c \
	src/service/svc_standing.c \
	src/service/svc_status.c \
	src/service/svc_token.c \
	src/service/svc_update.c \
	src/service/svc_upload.c \
	src/service/svc_wellknown.c \
	src/service/svc_window.c \
	src/store/batch.c \
	src/store/cache.h \
	src/store/calls.h \
	src/store/columns.h \
	src/store/filter_sql.c \
	src/store/internal.h \
	src/store/migrate.c \
	src/store/open.c \
	src/store/rollouts.h \
	src/store/rows.h \
	src/store/schema_sql.h \
	src/store/sql.c \
	src/store/sql.h \
	src/store/standing.h \
	src/store/statements.c \
	src/store/statements_calls.h \
	src/store/statements_fleet.h \
	src/store/statements_goods.h \
	src/store/statements_work.h \
	src/store/store.h \
	src/store/store_anchor.c \
	src/store/store_audit.c \
	src/store/store_cache.c \
	src/store/store_call.c \
	src/store/store_credential.c \
	src/store/store_device.c \
	src/store/store_device_list.c \
	src/store/store_diag.c \
	src/store/store_history.c \
	src/store/store_image.c \
	src/store/store_job.c \
	src/store/store_job_input.c \
	src/store/store_label.c \
	src/store/store_link.c \
	src/store/store_live.c \
	src/store/store_manifest.c \
	src/store/store_meta.c \
	src/store/store_object.c \
	src/store/store_outage.c \
	src/store/store_release.c \
	src/store/store_rollout.c \
	src/store/store_serve.c \
	src/store/store_standing.c \
	src/store/store_token.c \
	src/store/store_update.c \
	src/store/store_upload.c \
	src/store/store_upload_end.c \
	src/store/store_window.c \
	src/store/store_work.c \
	src/store/wal.c \
	src/tracker/anchor.c \
	src/tracker/audit.c \
	src/tracker/calls.c \
	src/tracker/calls.h \
	src/tracker/calls_answer.c \
	src/tracker/calls_internal.h \
	src/tracker/calls_push.c \
	src/tracker/cause.c \
	src/tracker/decide.c \
	src/tracker/derive.c \
	src/tracker/diag.c \
	src/tracker/effects.c \
	src/tracker/effects.h \
	src/tracker/filter.c \
	src/tracker/filter.h \
	src/tracker/gate_window.c \
	src/tracker/gates.c \
	src/tracker/gates_pace.c \
	src/tracker/hash.c \
	src/tracker/hash.h \
	src/tracker/installed.c \
	src/tracker/internal.h \
	src/tracker/jobs.c \
	src/tracker/offer.c \
	src/tracker/offer_grants.c \
	src/tracker/outage.c \
	src/tracker/outage.h \
	src/tracker/pace.c \
	src/tracker/pace.h \
	src/tracker/phase.c \
	src/tracker/policy.c \
	src/tracker/policy.h \
	src/tracker/policy_doc.c \
	src/tracker/policy_parts.c \
	src/tracker/policy_parts.h \
	src/tracker/policy_rules.c \
	src/tracker/push.c \
	src/tracker/push.h \
	src/tracker/registry.c \
	src/tracker/release.c \
	src/tracker/release_judge.c \
	src/tracker/release_verbs.c \
	src/tracker/report.c \
	src/tracker/rollout.c \
	src/tracker/rollout_jobs.c \
	src/tracker/rollout_join.c \
	src/tracker/rollout_plan.c \
	src/tracker/rollout_spec.c \
	src/tracker/rollout_verbs.c \
	src/tracker/scheduler.c \
	src/tracker/standing.c \
	src/tracker/state.c \
	src/tracker/state.h \
	src/tracker/tracker.h \
	src/tracker/trust.c \
	src/tracker/update.c \
	src/tracker/urgency.c \
	src/tracker/urgency.h \
	src/tracker/why.c \
	src/tracker/why_rollout.c \
	src/tracker/window.c \
	src/tracker/window.h \
	src/tracker/window_book.c \
	src/tracker/window_internal.h \
	src/tracker/window_rule.c \
	src/tracker/window_short.c

noinst_LTLIBRARIES += libfettled.la
libfettled_la_SOURCES = \
	daemon/checkpointer.c \
	daemon/checkpointer.h \
	daemon/child.c \
	daemon/coap.c \
	daemon/coap.h \
	daemon/coap_body.c \
	daemon/coap_call.c \
	daemon/coap_dtls.c \
	daemon/coap_dtls.h \
	daemon/coap_exchange.c \
	daemon/coap_gate.c \
	daemon/coap_internal.h \
	daemon/coap_kept.c \
	daemon/coap_keys.c \
	daemon/coap_keys.h \
	daemon/coap_observe.c \
	daemon/coap_peer.c \
	daemon/coap_plain.c \
	daemon/coap_push.c \
	daemon/coap_push.h \
	daemon/coap_push_flow.c \
	daemon/coap_reply.c \
	daemon/coap_request.c \
	daemon/coap_send.c \
	daemon/coap_session.c \
	daemon/coap_tls.c \
	daemon/coap_tls.h \
	daemon/coap_udp.c \
	daemon/coap_wire.c \
	daemon/coap_wire.h \
	daemon/config.c \
	daemon/config.h \
	daemon/config_internal.h \
	daemon/config_key.c \
	daemon/config_listen.c \
	daemon/config_secret.c \
	daemon/config_table.c \
	daemon/core_batch.c \
	daemon/core_checkpoint.c \
	daemon/core_clock.c \
	daemon/core_clock.h \
	daemon/core_effects.c \
	daemon/core_internal.h \
	daemon/core_loop.c \
	daemon/core_loop.h \
	daemon/core_objects.c \
	daemon/core_objects.h \
	daemon/core_send.c \
	daemon/core_start.c \
	daemon/core_upload.c \
	daemon/core_work.c \
	daemon/front.c \
	daemon/front.h \
	daemon/front_grant.c \
	daemon/front_internal.h \
	daemon/front_listen.c \
	daemon/front_loop.c \
	daemon/front_loop.h \
	daemon/front_send.c \
	daemon/front_session.c \
	daemon/front_upload.c \
	daemon/http.c \
	daemon/http.h \
	daemon/http_answer.c \
	daemon/http_conn.c \
	daemon/http_fields.c \
	daemon/http_handler.c \
	daemon/http_object.c \
	daemon/http_parse.c \
	daemon/http_parse.h \
	daemon/http_private.h \
	daemon/http_upload.c \
	daemon/keys.c \
	daemon/keys.h \
	daemon/keys_rate.c \
	daemon/keys_rate.h \
	daemon/supervise.c \
	daemon/supervise.h \
	daemon/supervise_internal.h \
	daemon/supervise_reload.c \
	daemon/supervise_spawn.c \
	daemon/supervise_wire.c \
	daemon/sysint.c \
	daemon/sysint.h \
	daemon/sysint_landlock.c \
	daemon/sysint_seccomp.c

noinst_LTLIBRARIES += libfettlecli.la
libfettlecli_la_SOURCES = \
	cli/cli.h \
	cli/client.c \
	cli/client.h \
	cli/cmd_admin.c \
	cli/cmd_device.c \
	cli/cmd_firmware.c \
	cli/cmd_import.c \
	cli/cmd_local.c \
	cli/cmd_policy.c \
	cli/cmd_rollout.c \
	cli/cmd_standing.c \
	cli/cmd_window.c \
	cli/commands.c \
	cli/files.c \
	cli/grammar.c \
	cli/rest.c \
	cli/writer.c

noinst_LTLIBRARIES += libfettledevice.la
libfettledevice_la_SOURCES = \
	device/agent.c \
	device/agent.h \
	device/agent_call.c \
	device/agent_doc.c \
	device/agent_internal.h \
	device/agent_reply.c \
	device/carrier.h \
	device/check.c \
	device/coap.c \
	device/coap_serve.c \
	device/coap_serve.h \
	device/dtls.c \
	device/dtls.h \
	device/fan.c \
	device/fan.h \
	device/files.c \
	device/files.h \
	device/fleet.c \
	device/fleet.h \
	device/heap.c \
	device/heap.h \
	device/histogram.c \
	device/histogram.h \
	device/http.c \
	device/load.c \
	device/minicoap.c \
	device/minicoap.h \
	device/minicoap_serve.c \
	device/options.c \
	device/options.h \
	device/plan.c \
	device/sim.c \
	device/sim_net.c \
	device/single.c \
	device/statefile.c \
	device/statefile.h \
	device/target.c

nodist_libfettle_la_SOURCES = src/store/schema_sql.c

sbin_PROGRAMS += fettled
fettled_SOURCES = daemon/main.c
fettled_LDADD = $(daemon_libs)

bin_PROGRAMS += fettle
fettle_SOURCES = cli/main.c
fettle_LDADD = $(cli_libs)

bin_PROGRAMS += fettle-device
fettle_device_SOURCES = device/main.c
fettle_device_LDADD = $(device_libs)

schema_sql = \
	schema/001-fettle.sql \
	schema/002-scheduling.sql \
	schema/images-001.sql

dist_schema_DATA = \
	schema/001-fettle.sql \
	schema/002-scheduling.sql \
	schema/device.cddl \
	schema/images-001.sql \
	schema/openapi.yaml

nobase_dist_pkgdata_DATA =

dist_fettleconf_DATA = \
	etc/fettled.conf

unit_files = \
	systemd/fettled.service

unit_templates = \
	systemd/fettled.service.in

dist_unit_files = \
	systemd/fettled-control.socket \
	systemd/fettled-http.socket

dist_man_MANS = \
	docs/fettle-device.1 \
	docs/fettle.1 \
	docs/fettled.8 \
	docs/fettled.conf.5

dist_doc_DATA = \
	docs/benchmarks.md

test_helper_sources = \
	tests/unit/fake_core.c \
	tests/unit/fake_core.h \
	tests/unit/fake_keys.c \
	tests/unit/fake_keys.h \
	tests/unit/faults.c \
	tests/unit/faults.h \
	tests/unit/faults_memory.c \
	tests/unit/service_rig.c \
	tests/unit/service_rig.h \
	tests/unit/store_util.c \
	tests/unit/store_util.h \
	tests/unit/tracker_world.c \
	tests/unit/tracker_world.h

unit_tests = \
	tests/unit/test_base_doc \
	tests/unit/test_base_message \
	tests/unit/test_base_model \
	tests/unit/test_base_slice \
	tests/unit/test_base_small \
	tests/unit/test_base_text \
	tests/unit/test_cli_grammar \
	tests/unit/test_cli_writer \
	tests/unit/test_codec_cbor \
	tests/unit/test_codec_crypto \
	tests/unit/test_codec_docfmt \
	tests/unit/test_codec_suit \
	tests/unit/test_codec_suit_report \
	tests/unit/test_codec_suit_rules \
	tests/unit/test_codec_vectors \
	tests/unit/test_daemon_checkpoint \
	tests/unit/test_daemon_coap \
	tests/unit/test_daemon_coap_flow \
	tests/unit/test_daemon_coap_many \
	tests/unit/test_daemon_coap_push \
	tests/unit/test_daemon_coap_wire \
	tests/unit/test_daemon_coaps \
	tests/unit/test_daemon_coaps_push \
	tests/unit/test_daemon_config \
	tests/unit/test_daemon_core \
	tests/unit/test_daemon_front \
	tests/unit/test_daemon_front_sandbox \
	tests/unit/test_daemon_front_send \
	tests/unit/test_daemon_http \
	tests/unit/test_daemon_http_parse \
	tests/unit/test_daemon_parts \
	tests/unit/test_daemon_sandbox \
	tests/unit/test_device_agent \
	tests/unit/test_device_call \
	tests/unit/test_device_minicoap \
	tests/unit/test_device_parts \
	tests/unit/test_device_state \
	tests/unit/test_ipc \
	tests/unit/test_service_auth \
	tests/unit/test_service_calls \
	tests/unit/test_service_faults \
	tests/unit/test_service_flow \
	tests/unit/test_service_matrix \
	tests/unit/test_service_messages \
	tests/unit/test_service_openapi \
	tests/unit/test_service_policy \
	tests/unit/test_service_upload \
	tests/unit/test_service_window \
	tests/unit/test_store_batch \
	tests/unit/test_store_entity \
	tests/unit/test_store_filter \
	tests/unit/test_store_goods \
	tests/unit/test_store_open \
	tests/unit/test_store_window \
	tests/unit/test_store_work \
	tests/unit/test_tracker_calls \
	tests/unit/test_tracker_corners \
	tests/unit/test_tracker_facts \
	tests/unit/test_tracker_filter \
	tests/unit/test_tracker_pace \
	tests/unit/test_tracker_phase \
	tests/unit/test_tracker_policy \
	tests/unit/test_tracker_policy_doc \
	tests/unit/test_tracker_precedence \
	tests/unit/test_tracker_push \
	tests/unit/test_tracker_registry \
	tests/unit/test_tracker_release \
	tests/unit/test_tracker_rollout \
	tests/unit/test_tracker_scale \
	tests/unit/test_tracker_standing \
	tests/unit/test_tracker_state \
	tests/unit/test_tracker_update \
	tests/unit/test_tracker_urgency \
	tests/unit/test_tracker_window \
	tests/unit/test_tracker_window_gate

tests_unit_test_base_doc_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_message_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_model_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_slice_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_small_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_text_LDADD = $(test_common) $(core_libs)
tests_unit_test_cli_grammar_LDADD = $(test_common) $(cli_libs)
tests_unit_test_cli_writer_LDADD = $(test_common) $(cli_libs)
tests_unit_test_codec_cbor_LDADD = $(test_common) $(core_libs)
tests_unit_test_codec_crypto_LDADD = $(test_common) $(core_libs)
tests_unit_test_codec_docfmt_LDADD = $(test_common) $(core_libs)
tests_unit_test_codec_suit_LDADD = $(test_common) $(core_libs)
tests_unit_test_codec_suit_report_LDADD = $(test_common) $(core_libs)
tests_unit_test_codec_suit_rules_LDADD = $(test_common) $(core_libs)
tests_unit_test_codec_vectors_LDADD = $(test_common) $(core_libs)
tests_unit_test_daemon_checkpoint_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_coap_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_coap_flow_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_coap_many_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_coap_push_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_coap_wire_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_coaps_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_coaps_push_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_config_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_core_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_front_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_front_sandbox_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_front_send_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_http_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_http_parse_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_parts_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_daemon_sandbox_LDADD = $(test_common) $(daemon_libs)
tests_unit_test_device_agent_LDADD = $(test_common) $(device_libs)
tests_unit_test_device_call_LDADD = $(test_common) $(device_libs)
tests_unit_test_device_minicoap_LDADD = $(test_common) $(device_libs)
tests_unit_test_device_parts_LDADD = $(test_common) $(device_libs)
tests_unit_test_device_state_LDADD = $(test_common) $(device_libs)
tests_unit_test_ipc_LDADD = $(test_common) $(core_libs)
tests_unit_test_service_auth_LDADD = $(test_common) $(core_libs)
tests_unit_test_service_calls_LDADD = $(test_common) $(core_libs)
tests_unit_test_service_faults_LDADD = $(test_common) $(core_libs)
tests_unit_test_service_flow_LDADD = $(test_common) $(core_libs)
tests_unit_test_service_matrix_LDADD = $(test_common) $(core_libs)
tests_unit_test_service_messages_LDADD = $(test_common) $(core_libs)
tests_unit_test_service_openapi_LDADD = $(test_common) $(core_libs)
tests_unit_test_service_policy_LDADD = $(test_common) $(core_libs)
tests_unit_test_service_upload_LDADD = $(test_common) $(core_libs)
tests_unit_test_service_window_LDADD = $(test_common) $(core_libs)
tests_unit_test_store_batch_LDADD = $(test_common) $(core_libs)
tests_unit_test_store_entity_LDADD = $(test_common) $(core_libs)
tests_unit_test_store_filter_LDADD = $(test_common) $(core_libs)
tests_unit_test_store_goods_LDADD = $(test_common) $(core_libs)
tests_unit_test_store_open_LDADD = $(test_common) $(core_libs)
tests_unit_test_store_window_LDADD = $(test_common) $(core_libs)
tests_unit_test_store_work_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_calls_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_corners_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_facts_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_filter_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_pace_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_phase_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_policy_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_policy_doc_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_precedence_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_push_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_registry_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_release_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_rollout_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_scale_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_standing_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_state_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_update_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_urgency_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_window_LDADD = $(test_common) $(core_libs)
tests_unit_test_tracker_window_gate_LDADD = $(test_common) $(core_libs)

sim_helper_sources = \
	tests/sim/calls.c \
	tests/sim/devices.c \
	tests/sim/fleet.c \
	tests/sim/fleet_say.c \
	tests/sim/operators.c \
	tests/sim/oracle.c \
	tests/sim/oracle.h \
	tests/sim/oracle_answer.c \
	tests/sim/oracle_audit.c \
	tests/sim/oracle_call.c \
	tests/sim/oracle_cause.c \
	tests/sim/oracle_device.c \
	tests/sim/oracle_failure.c \
	tests/sim/oracle_move.c \
	tests/sim/oracle_operators.c \
	tests/sim/oracle_phase.c \
	tests/sim/oracle_place.c \
	tests/sim/oracle_rollout.c \
	tests/sim/oracle_state.c \
	tests/sim/oracle_window.c \
	tests/sim/oracle_words.c \
	tests/sim/people.c \
	tests/sim/places.c \
	tests/sim/points.c \
	tests/sim/points.h \
	tests/sim/server.c \
	tests/sim/sim.c \
	tests/sim/sim.h

sim_tests = \
	tests/sim/test_crash \
	tests/sim/test_fleet

tests_sim_test_crash_LDADD = $(sim_common) $(core_libs)
tests_sim_test_fleet_LDADD = $(sim_common) $(core_libs)

fuzz_programs = \
	tests/fuzz/fuzz_call_answer \
	tests/fuzz/fuzz_cbor \
	tests/fuzz/fuzz_coap_wire \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_cose \
	tests/fuzz/fuzz_docfmt_cbor \
	tests/fuzz/fuzz_dtls \
	tests/fuzz/fuzz_dtls_call \
	tests/fuzz/fuzz_filter \
	tests/fuzz/fuzz_http_parse \
	tests/fuzz/fuzz_ipc \
	tests/fuzz/fuzz_json \
	tests/fuzz/fuzz_key \
	tests/fuzz/fuzz_minicoap \
	tests/fuzz/fuzz_policy \
	tests/fuzz/fuzz_push \
	tests/fuzz/fuzz_request \
	tests/fuzz/fuzz_suit \
	tests/fuzz/fuzz_suit_report \
	tests/fuzz/fuzz_text \
	tests/fuzz/fuzz_window

tests_fuzz_fuzz_call_answer_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_cbor_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_coap_wire_LDADD = $(fuzz_common) $(daemon_libs)
tests_fuzz_fuzz_config_LDADD = $(fuzz_common) $(daemon_libs)
tests_fuzz_fuzz_cose_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_docfmt_cbor_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_dtls_LDADD = $(fuzz_common) $(daemon_libs)
tests_fuzz_fuzz_dtls_call_LDADD = $(fuzz_common) $(daemon_libs)
tests_fuzz_fuzz_filter_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_http_parse_LDADD = $(fuzz_common) $(daemon_libs)
tests_fuzz_fuzz_ipc_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_json_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_key_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_minicoap_LDADD = $(fuzz_common) $(device_libs)
tests_fuzz_fuzz_policy_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_push_LDADD = $(fuzz_common) $(daemon_libs)
tests_fuzz_fuzz_request_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_suit_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_suit_report_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_text_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_window_LDADD = $(fuzz_common) $(core_libs)

bench_programs = \
	bench/bench_fleet \
	bench/bench_pass \
	bench/bench_store \
	bench/coap_load \
	bench/dtls_load \
	bench/udp_echo

bench_bench_fleet_LDADD = $(core_libs)
bench_bench_pass_LDADD = $(core_libs)
bench_bench_store_LDADD = $(core_libs)
bench_coap_load_LDADD = $(core_libs)
bench_dtls_load_LDADD = $(core_libs) $(SSL_LIBS)
bench_udp_echo_LDADD = $(core_libs)

root_files = \
	CONTRIBUTING.md \
	README.md \
	SECURITY.md \
	NEWS

lint_files = \
	tests/lint/banned.sh \
	tests/lint/common.sh \
	tests/lint/format.sh \
	tests/lint/includes.sh \
	tests/lint/owners.txt \
	tests/lint/selftest.sh \
	tests/lint/sizes.sh \
	tests/lint/sources.sh \
	tests/lint/spdx.sh \
	tests/lint/sql.sh \
	tests/lint/strip.awk \
	tests/lint/tables.txt \
	tests/lint/text.sh

system_files = \
	tests/system/cbor.py \
	tests/system/coap.py \
	tests/system/dtls.py \
	tests/system/fettled_crash.c \
	tests/system/harness.py \
	tests/system/install.sh \
	tests/system/load.py \
	tests/system/oracle.py \
	tests/system/oracle_rollout.py \
	tests/system/run \
	tests/system/test_amplification.py \
	tests/system/test_api.py \
	tests/system/test_cli.py \
	tests/system/test_crash.py \
	tests/system/test_device.py \
	tests/system/test_device_push.py \
	tests/system/test_diskfull.py \
	tests/system/test_docs.py \
	tests/system/test_dtls.py \
	tests/system/test_end_to_end.py \
	tests/system/test_fleet.py \
	tests/system/test_hostile.py \
	tests/system/test_http.py \
	tests/system/test_interop.py \
	tests/system/test_kill.py \
	tests/system/test_modes.py \
	tests/system/test_restart.py \
	tests/system/test_sandbox.py \
	tests/system/test_standing.py \
	tests/system/test_vectors.py \
	tests/system/test_window.py \
	tests/system/valgrind.supp

script_files = \
	scripts/build \
	scripts/check \
	scripts/coverage \
	scripts/demo \
	scripts/deps \
	scripts/embed-sql \
	scripts/list-sources

bench_files = \
	bench/bench.h \
	bench/run \
	bench/world.py

data_dirs = \
	tests/fuzz/corpus \
	tests/vectors

