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
	src/service/idempotency.c \
	src/service/internal.h \
	src/service/page.c \
	src/service/params.c \
	src/service/principal.c \
	src/service/problem.c \
	src/service/reply.c \
	src/service/route.c \
	src/service/route.h \
	src/service/routes.c \
	src/service/service.c \
	src/service/service.h \
	src/service/session.c \
	src/service/svc.h \
	src/service/svc_core.c \
	src/service/svc_device.c \
	src/service/svc_object.c \
	src/service/svc_wellknown.c \
	src/store/batch.c \
	src/store/columns.h \
	src/store/internal.h \
	src/store/migrate.c \
	src/store/open.c \
	src/store/rows.h \
	src/store/schema_sql.h \
	src/store/sql.c \
	src/store/sql.h \
	src/store/statements.c \
	src/store/statements_fleet.h \
	src/store/statements_goods.h \
	src/store/statements_work.h \
	src/store/store.h \
	src/store/store_anchor.c \
	src/store/store_audit.c \
	src/store/store_credential.c \
	src/store/store_device.c \
	src/store/store_device_list.c \
	src/store/store_history.c \
	src/store/store_job.c \
	src/store/store_label.c \
	src/store/store_live.c \
	src/store/store_meta.c \
	src/store/store_rollout.c \
	src/store/store_token.c \
	src/store/store_update.c \
	src/tracker/audit.c \
	src/tracker/cause.c \
	src/tracker/effects.c \
	src/tracker/effects.h \
	src/tracker/filter.c \
	src/tracker/filter.h \
	src/tracker/internal.h \
	src/tracker/jobs.c \
	src/tracker/phase.c \
	src/tracker/policy.c \
	src/tracker/policy.h \
	src/tracker/policy_doc.c \
	src/tracker/rollout.c \
	src/tracker/rollout_jobs.c \
	src/tracker/state.c \
	src/tracker/state.h \
	src/tracker/tracker.h \
	src/tracker/update.c \
	src/tracker/urgency.c

noinst_LTLIBRARIES += libfettled.la
libfettled_la_SOURCES = \
	daemon/child.c \
	daemon/coap.h \
	daemon/coap_gate.c \
	daemon/coap_internal.h \
	daemon/coap_peer.c \
	daemon/coap_send.c \
	daemon/coap_wire.c \
	daemon/coap_wire.h \
	daemon/config.c \
	daemon/config.h \
	daemon/config_internal.h \
	daemon/config_key.c \
	daemon/config_listen.c \
	daemon/config_secret.c \
	daemon/config_table.c \
	daemon/core_loop.h \
	daemon/front.c \
	daemon/front.h \
	daemon/front_grant.c \
	daemon/front_internal.h \
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
	daemon/keys.h \
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
	cli/cmd_local.c \
	cli/cmd_rollout.c \
	cli/commands.c \
	cli/files.c \
	cli/grammar.c \
	cli/rest.c \
	cli/writer.c

nodist_libfettle_la_SOURCES = src/store/schema_sql.c

bin_PROGRAMS += fettle
fettle_SOURCES = cli/main.c
fettle_LDADD = $(cli_libs)

schema_sql = \
	schema/001-fettle.sql \
	schema/images-001.sql

dist_schema_DATA = \
	schema/001-fettle.sql \
	schema/device.cddl \
	schema/images-001.sql

nobase_dist_pkgdata_DATA =

dist_fettleconf_DATA =

unit_files =

unit_templates =

dist_unit_files =

dist_man_MANS =

dist_doc_DATA =

test_helper_sources =

unit_tests = \
	tests/unit/test_base_doc \
	tests/unit/test_base_message \
	tests/unit/test_base_model \
	tests/unit/test_base_slice \
	tests/unit/test_base_small \
	tests/unit/test_base_text \
	tests/unit/test_codec_vectors \
	tests/unit/test_ipc

tests_unit_test_base_doc_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_message_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_model_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_slice_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_small_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_text_LDADD = $(test_common) $(core_libs)
tests_unit_test_codec_vectors_LDADD = $(test_common) $(core_libs)
tests_unit_test_ipc_LDADD = $(test_common) $(core_libs)

sim_tests =


fuzz_programs = \
	tests/fuzz/fuzz_cbor \
	tests/fuzz/fuzz_cose \
	tests/fuzz/fuzz_docfmt_cbor \
	tests/fuzz/fuzz_ipc \
	tests/fuzz/fuzz_json \
	tests/fuzz/fuzz_key \
	tests/fuzz/fuzz_suit \
	tests/fuzz/fuzz_suit_report \
	tests/fuzz/fuzz_text

tests_fuzz_fuzz_cbor_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_cose_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_docfmt_cbor_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_ipc_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_json_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_key_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_suit_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_suit_report_LDADD = $(fuzz_common) $(core_libs)
tests_fuzz_fuzz_text_LDADD = $(fuzz_common) $(core_libs)

bench_programs =


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
	tests/system/harness.py \
	tests/system/run

script_files = \
	scripts/build \
	scripts/deps \
	scripts/embed-sql \
	scripts/list-sources

bench_files =

data_dirs = \
	tests/fuzz/corpus \
	tests/vectors

