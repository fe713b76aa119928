import { describe, expect, it } from "vitest";
import { networkOf } from "../../../common/network.ts";

describe("the network of an address", () => {
  it.each([
    ["2001:db8:0:7::1", "2001:db8:0:7::/64"],
    ["2001:DB8:0000:7:ffff:1:2:3", "2001:db8:0:7::/64"],
    ["2001:db8::", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["1::2:0:0:3:0:0", "1:0:2:0::/64"],
  ])("of IPv6 are its first 64 bits: %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  it("of another site is another", () => {
    expect(networkOf("2001:db8:0:7::1")).not.toBe(networkOf("2001:db8:0:8::1"));
  });

  it.each(["192.0.2.1", "", "unknown", "1", ":::", "1:2", "fe80::1%eth0", "::1]/@[", "::ffff:192.0.2.1"])(
    "of anything else is what it is: %j",
    (text) => expect(networkOf(text)).toBe(text),
  );
});
