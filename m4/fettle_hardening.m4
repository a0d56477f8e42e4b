dnl SPDX-License-Identifier: ISC
dnl SPDX-FileCopyrightText: The Fettle authors

dnl Hardening, one by one. A sanitizer, coverage or fuzzer build goes without: its instruments
dnl and the hardening get in each other's way, and it may not be installed anyway.
AC_DEFUN([FETTLE_HARDENING], [
  HARDENING_CFLAGS=
  HARDENING_LDFLAGS=
  AS_IF([test "$fettle_unhardened" = no], [
    m4_foreach_w([flag], [
      -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
      -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks],
      [FETTLE_PROBE_CFLAG([HARDENING_CFLAGS], m4_dquote(flag))])
    dnl packagers bring their own _FORTIFY_SOURCE; two of them are a warning in every file
    AS_CASE([" $CPPFLAGS $CFLAGS "],
      [*_FORTIFY_SOURCE*], [],
      [FETTLE_PROBE_CFLAG([HARDENING_CFLAGS], [-D_FORTIFY_SOURCE=3])])
    FETTLE_PROBE_LDFLAG([HARDENING_LDFLAGS], [-pie])
    FETTLE_PROBE_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,relro])
    FETTLE_PROBE_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,now])
    FETTLE_PROBE_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,noexecstack])
  ])
  AC_SUBST([HARDENING_CFLAGS])
  AC_SUBST([HARDENING_LDFLAGS])
])
