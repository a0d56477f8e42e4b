dnl SPDX-License-Identifier: ISC
dnl SPDX-FileCopyrightText: The Fettle authors

AC_DEFUN([FETTLE_SUMMARY], [
  AS_IF([test "$fettle_unhardened" = yes],
    [fettle_use="finding faults: make install refuses"], [fettle_use="service"])
  AS_ECHO([""])
  AS_ECHO(["  $PACKAGE_NAME $PACKAGE_VERSION"])
  AS_ECHO(["  ------------------------------------------------------------"])
  AS_ECHO(["  prefix          $prefix"])
  AS_ECHO(["  compiler        $CC"])
  AS_ECHO(["  flags           $CFLAGS"])
  AS_ECHO(["  hardening      ${HARDENING_CFLAGS:- none}"])
  AS_ECHO(["                 $HARDENING_LDFLAGS"])
  AS_ECHO(["  sanitizers      $enable_sanitizers"])
  AS_ECHO(["  fuzzers         $enable_fuzzers"])
  AS_ECHO(["  coverage        $enable_coverage"])
  AS_ECHO(["  systemd unit    ${systemdsystemunitdir:-not installed}"])
  AS_ECHO(["  unit tests      $have_check (libcheck)"])
  AS_ECHO(["  built for       $fettle_use"])
  AS_ECHO([""])
])
