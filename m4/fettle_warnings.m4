dnl SPDX-License-Identifier: ISC
dnl SPDX-FileCopyrightText: The Fettle authors

dnl Warnings, one by one: a compiler that lacks one loses only that one. -Werror is never
dnl set here; who wants it says make CFLAGS='... -Werror'.
AC_DEFUN([FETTLE_WARNINGS], [
  WARNING_CFLAGS=
  m4_foreach_w([flag], [
    -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes
    -Wmissing-prototypes -Wmissing-declarations -Wold-style-definition -Wvla -Wformat=2
    -Wwrite-strings -Wcast-qual -Wpointer-arith -Wundef -Wredundant-decls -Wnull-dereference
    -Wduplicated-cond -Wduplicated-branches -Wimplicit-fallthrough],
    [FETTLE_PROBE_CFLAG([WARNING_CFLAGS], m4_dquote(flag))])
  AC_SUBST([WARNING_CFLAGS])
])
