dnl SPDX-License-Identifier: ISC
dnl SPDX-FileCopyrightText: The Fettle authors

AC_DEFUN([FETTLE_SYSTEMD], [
  AC_ARG_WITH([systemdsystemunitdir],
    [AS_HELP_STRING([--with-systemdsystemunitdir=DIR], [where the unit goes; "no" installs none])],
    [], [with_systemdsystemunitdir=auto])
  AS_CASE([$with_systemdsystemunitdir],
    [auto|yes], [
      PKG_CHECK_VAR([systemdsystemunitdir], [systemd], [systemdsystemunitdir], [], [
        AS_IF([test "$with_systemdsystemunitdir" = yes],
          [AC_MSG_ERROR([systemd says no unit directory; name it])])
        systemdsystemunitdir=
      ])],
    [no], [systemdsystemunitdir=],
    [systemdsystemunitdir=$with_systemdsystemunitdir])
  AC_SUBST([systemdsystemunitdir])
  AM_CONDITIONAL([SYSTEMD], [test -n "$systemdsystemunitdir"])
])
