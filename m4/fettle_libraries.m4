dnl SPDX-License-Identifier: ISC
dnl SPDX-FileCopyrightText: The Fettle authors

dnl The libraries, and the version each was proven with. libevent_core: the loop alone, without
dnl its HTTP and DNS.
AC_DEFUN([FETTLE_LIBRARIES], [
  PKG_CHECK_MODULES([CBOR], [libcbor >= 0.8])
  PKG_CHECK_MODULES([JANSSON], [jansson >= 2.13])
  PKG_CHECK_MODULES([SQLITE], [sqlite3 >= 3.40])
  PKG_CHECK_MODULES([CRYPTO], [libcrypto >= 3.0])
  PKG_CHECK_MODULES([ICAL], [libical >= 3.0])
  PKG_CHECK_MODULES([SSL], [libssl >= 3.0])
  PKG_CHECK_MODULES([COAP], [libcoap-3-openssl >= 4.3.1])
  PKG_CHECK_MODULES([MICROHTTPD], [libmicrohttpd >= 0.9.75])
  PKG_CHECK_MODULES([GNUTLS], [gnutls >= 3.7])
  PKG_CHECK_MODULES([EVENT], [libevent_core >= 2.1])
  PKG_CHECK_MODULES([INIH], [inih >= 53])
  PKG_CHECK_MODULES([CURL], [libcurl >= 7.74])
  PKG_CHECK_MODULES([CHECK], [check >= 0.15], [have_check=yes], [have_check=no])
  AM_CONDITIONAL([HAVE_CHECK], [test "$have_check" = yes])
])
