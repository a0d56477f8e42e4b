dnl SPDX-License-Identifier: ISC
dnl SPDX-FileCopyrightText: The Fettle authors

dnl FETTLE_PROBE_CFLAG(VARIABLE, FLAG): append FLAG to VARIABLE if the compiler takes it in silence.
AC_DEFUN([FETTLE_PROBE_CFLAG], [
  AS_VAR_PUSHDEF([cache], [fettle_cv_cflag_$2])
  AC_CACHE_CHECK([whether $CC takes $2], [cache], [
    fettle_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $2"
    AC_COMPILE_IFELSE(
      [AC_LANG_PROGRAM([[#include <string.h>]], [[char a[8]; memset(a, 0, sizeof(a)); return a[0];]])],
      [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    CFLAGS=$fettle_save_CFLAGS
  ])
  AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
  AS_VAR_POPDEF([cache])
])

dnl FETTLE_PROBE_LDFLAG(VARIABLE, FLAG): the same for the linker.
AC_DEFUN([FETTLE_PROBE_LDFLAG], [
  AS_VAR_PUSHDEF([cache], [fettle_cv_ldflag_$2])
  AC_CACHE_CHECK([whether $CC links with $2], [cache], [
    fettle_save_CFLAGS=$CFLAGS
    fettle_save_LDFLAGS=$LDFLAGS
    CFLAGS="$CFLAGS $HARDENING_CFLAGS"
    LDFLAGS="$LDFLAGS -Werror $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
      [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    CFLAGS=$fettle_save_CFLAGS
    LDFLAGS=$fettle_save_LDFLAGS
  ])
  AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
  AS_VAR_POPDEF([cache])
])
