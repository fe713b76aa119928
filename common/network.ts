/**
 * The network from which one sender can take any address: of IPv6 the first 64 bits, as `2001:db8:0:7::/64`
 * (a site has at least so many: RFC 6177), of IPv4 the address itself. Any other text stays as it is.
 */
export function networkOf(address: string): string {
  const url = /^[0-9a-f:]+$/i.test(address) ? URL.parse(`http://[${address}]/`) : null;
  if (!url) return address;
  // Canonical (RFC 5952): one run of zeros at most is written as "::".
  const [first = [], last = []] = url.hostname
    .slice(1, -1)
    .split("::")
    .map((groups) => (groups === "" ? [] : groups.split(":")));
  const zeros = Array<string>(8 - first.length - last.length).fill("0");
  return `${[...first, ...zeros, ...last].slice(0, 4).join(":")}::/64`;
}
