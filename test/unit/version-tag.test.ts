import { expect, it } from "vitest";
import { formatVersionTag, parseVersionTag } from "../../tools/deployment/version-tag.ts";

it("a version's tag holds the contract's version and the bundle's hash", () => {
  const tag = { contract: 12, bundle: "0123456789abcdef" };
  expect(formatVersionTag(tag)).toBe("c12-0123456789abcdef");
  expect(parseVersionTag(formatVersionTag(tag))).toEqual(tag);
});

it.each([undefined, "", "v1.2.3", "c1-0123", "c1-0123456789ABCDEF", "xc1-0123456789abcdef", "c1-0123456789abcdef-x"])(
  "a tag of somebody else's is none: %s",
  (tag) => {
    expect(parseVersionTag(tag)).toBeUndefined();
  },
);
