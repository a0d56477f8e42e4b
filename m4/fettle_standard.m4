dnl SPDX-License-Identifier: ISC
dnl SPDX-FileCopyrightText: The Fettle authors

dnl C11 with GNU attributes, whatever the compiler's default is.
AC_DEFUN([FETTLE_STANDARD], [
  STANDARD_CFLAGS=
  FETTLE_PROBE_CFLAG([STANDARD_CFLAGS], [-std=gnu11])
  AS_IF([test -z "$STANDARD_CFLAGS"], [AC_MSG_ERROR([a compiler for C11 with GNU extensions is needed])])
  AC_SUBST([STANDARD_CFLAGS])
])
