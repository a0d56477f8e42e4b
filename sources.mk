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
	src/codec/suit_envelope.c \
	src/codec/suit_internal.h \
	src/codec/suit_machine.c \
	src/codec/suit_params.c \
	src/codec/suit_parse.c \
	src/codec/suit_text.c \
	src/codec/suit_worlds.c \
	src/codec/suit_worlds.h \
	src/ipc/channel.c \
	src/ipc/ipc.h \
	src/ipc/message.c \
	src/ipc/wire.c \
	src/service/internal.h \
	src/service/principal.c \
	src/service/route.h \
	src/service/service.h \
	src/service/session.c \
	src/store/batch.c \
	src/store/internal.h \
	src/store/migrate.c \
	src/store/open.c \
	src/store/schema_sql.h \
	src/store/sql.c \
	src/store/sql.h \
	src/store/statements.c \
	src/store/store.h \
	src/tracker/effects.h \
	src/tracker/filter.h \
	src/tracker/policy.h \
	src/tracker/state.h \
	src/tracker/tracker.h

noinst_LTLIBRARIES += libfettled.la
libfettled_la_SOURCES = \
	daemon/coap.h \
	daemon/config.h \
	daemon/config_internal.h \
	daemon/config_key.c \
	daemon/config_listen.c \
	daemon/config_table.c \
	daemon/core_loop.h \
	daemon/front.h \
	daemon/http.h \
	daemon/http_parse.c \
	daemon/http_parse.h \
	daemon/keys.h \
	daemon/supervise.h \
	daemon/sysint.h

noinst_LTLIBRARIES += libfettlecli.la
libfettlecli_la_SOURCES = \
	cli/cli.h \
	cli/client.c \
	cli/client.h

nodist_libfettle_la_SOURCES = src/store/schema_sql.c

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

dist_doc_DATA = \
	docs/api-shapes.md

test_helper_sources =

unit_tests = \
	tests/unit/test_base_doc \
	tests/unit/test_base_message \
	tests/unit/test_base_model \
	tests/unit/test_base_slice \
	tests/unit/test_base_small \
	tests/unit/test_base_text \
	tests/unit/test_ipc

tests_unit_test_base_doc_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_message_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_model_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_slice_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_small_LDADD = $(test_common) $(core_libs)
tests_unit_test_base_text_LDADD = $(test_common) $(core_libs)
tests_unit_test_ipc_LDADD = $(test_common) $(core_libs)

sim_tests =


fuzz_programs = \
	tests/fuzz/fuzz_ipc

tests_fuzz_fuzz_ipc_LDADD = $(fuzz_common) $(core_libs)

bench_programs =


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

