#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# tests/system/install.sh BUILD STAGE: make install puts everything where a system
# expects it, the unit file is accepted, and its sandbox scores as promised.
set -eu
build=$1 stage=$2
rm -rf "$stage"
make -s -C "$build" install DESTDIR="$stage" >/dev/null

prefix=$(sed -n 's/^prefix = //p' "$build/Makefile")
sbin=$stage$prefix/sbin bin=$stage$prefix/bin share=$stage$prefix/share
fail=0
need() { [ -e "$1" ] || { echo "not installed: ${1#"$stage"}"; fail=1; }; }
need "$sbin/fettled"
need "$bin/fettle"
need "$bin/fettle-device"
need "$share/fettle/schema/device.cddl"
need "$share/fettle/schema/openapi.yaml"
for page in man8/fettled.8 man5/fettled.conf.5 man1/fettle.1 man1/fettle-device.1; do
	need "$share/man/$page"
	man --warnings -l "$share/man/$page" >/dev/null 2>"$stage/man.err" || fail=1
	[ ! -s "$stage/man.err" ] || { sed "s|^|$page: |" "$stage/man.err"; fail=1; }
done
conf=$(find "$stage" -name fettled.conf -path '*/fettle/*')
[ -n "$conf" ] || { echo "not installed: fettled.conf"; fail=1; }

unit=$(find "$stage" -name fettled.service | head -n 1)
[ -n "$unit" ] || { echo "not installed: fettled.service"; exit 1; }
sed "s|^\(Exec[A-Za-z]*=\)[^ ]*/\(fettled\) |\1$sbin/\2 |" "$unit" >"$stage/fettled.service"
systemd-analyze verify --man=no "$stage/fettled.service" >"$stage/verify.out" 2>&1 || fail=1
cat "$stage/verify.out"
# --threshold is the score times ten: above 1.2 fails.
systemd-analyze security --offline=true --threshold=12 "$stage/fettled.service" \
	>"$stage/security.out" 2>&1 || { tail -n 3 "$stage/security.out"; fail=1; }
tail -n 1 "$stage/security.out"
exit $fail
