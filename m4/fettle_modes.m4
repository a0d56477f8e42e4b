dnl SPDX-License-Identifier: ISC
dnl SPDX-FileCopyrightText: The Fettle authors

dnl Ways to build that are for finding faults and never for service: they widen the sandbox,
dnl say so in -V (FETTLE_UNHARDENED), and make install refuses them.
AC_DEFUN([FETTLE_MODES], [
  AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers], [AddressSanitizer and UndefinedBehaviorSanitizer (not installable)])],
    [], [enable_sanitizers=no])
  AC_ARG_ENABLE([fuzzers],
    [AS_HELP_STRING([--enable-fuzzers], [link tests/fuzz with libFuzzer; needs clang (not installable)])],
    [], [enable_fuzzers=no])
  AC_ARG_ENABLE([coverage],
    [AS_HELP_STRING([--enable-coverage], [gcov instrumentation (not installable)])],
    [], [enable_coverage=no])

  AC_ARG_ENABLE([valgrind],
    [AS_HELP_STRING([--enable-valgrind], [let the sandboxed processes run under valgrind (not installable)])],
    [], [enable_valgrind=no])

  MODE_CFLAGS=
  MODE_LDFLAGS=
  FUZZER_LIBS=
  fettle_unhardened=no
  fettle_sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

  AS_IF([test "$enable_sanitizers" != no], [
    fettle_unhardened=yes
    MODE_CFLAGS="$fettle_sanitize"
    MODE_LDFLAGS="-fsanitize=address,undefined"
  ])
  AS_IF([test "$enable_fuzzers" != no], [
    fettle_unhardened=yes
    MODE_CFLAGS="$fettle_sanitize -fsanitize=fuzzer-no-link"
    MODE_LDFLAGS="-fsanitize=address,undefined"
    FUZZER_LIBS="-fsanitize=fuzzer"
    AC_MSG_CHECKING([whether $CC has libFuzzer])
    fettle_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $fettle_sanitize -fsanitize=fuzzer"
    AC_LINK_IFELSE([AC_LANG_SOURCE([[
#include <stddef.h>
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n) { return n > 0 && p[0] == 0 ? 0 : 0; }
]])],
      [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       AC_MSG_ERROR([--enable-fuzzers needs clang: ./configure CC=clang --enable-fuzzers])])
    CFLAGS=$fettle_save_CFLAGS
  ])
  AS_IF([test "$enable_coverage" != no], [
    fettle_unhardened=yes
    MODE_CFLAGS="$MODE_CFLAGS --coverage"
    # behind the user's: an optimized build has branches that no source has
    CFLAGS="$CFLAGS -O0"
    MODE_LDFLAGS="$MODE_LDFLAGS --coverage"
  ])

  # its own memory is executable, which the sandbox of a front forbids
  AS_IF([test "$enable_valgrind" != no], [fettle_unhardened=yes])

  INSTALL_GUARD=
  AS_IF([test "$fettle_unhardened" = yes], [
    AC_DEFINE([FETTLE_UNHARDENED], [1], [Built with instruments for finding faults; not for service.])
    MODE_CPPFLAGS="-DFETTLE_UNHARDENED=1"
    INSTALL_GUARD='$(if $(filter install install-%,$(MAKECMDGOALS)),$(error this build carries sanitizers, coverage or fuzzers, or is for valgrind, and is not installed; configure again without them))'
  ])
  AC_SUBST([MODE_CPPFLAGS])
  AC_SUBST([MODE_CFLAGS])
  AC_SUBST([MODE_LDFLAGS])
  AC_SUBST([FUZZER_LIBS])
  AC_SUBST([INSTALL_GUARD])
  AM_SUBST_NOTMAKE([INSTALL_GUARD])
  AM_CONDITIONAL([FUZZERS], [test "$enable_fuzzers" != no])
])
