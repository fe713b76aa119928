/**
 * The zlib dictionary of SPDY/3 and 3.1 (section 2.6.10.1 of the draft). Peers compress header
 * blocks with it, so it must be exact to the byte. Its Adler-32 is 0xe3c6a7c2, which is in the
 * first block of a peer and in the tests.
 */

// In the dictionary, a name has the same form as in a header block: a 32-bit length, then the text.
const NAMES = [
  ["options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding"],
  ["accept-language", "accept-ranges", "age", "allow", "authorization", "cache-control", "connection"],
  ["content-base", "content-encoding", "content-language", "content-length", "content-location", "content-md5"],
  ["content-range", "content-type", "date", "etag", "expect", "expires", "from", "host", "if-match"],
  ["if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "location"],
  ["max-forwards", "pragma", "proxy-authenticate", "proxy-authorization", "range", "referer", "retry-after"],
  ["server", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning"],
  ["www-authenticate", "method", "get", "status", "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie"],
  ["keep-alive", "origin"],
].flat();

const TAIL =
  "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505" +
  "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized" +
  "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable" +
  "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT" +
  "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain," +
  "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

const lengthPrefixed = (name: string): string => `\0\0\0${String.fromCharCode(name.length)}${name}`;

export const SPDY_DICTIONARY: Uint8Array = new TextEncoder().encode(NAMES.map(lengthPrefixed).join("") + TAIL);
