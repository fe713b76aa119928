/** What a name alone tells of whether a match is somebody's. */
import { describe, expect, it } from "vitest";
import { couldMatchName, isOfDomain } from "../../../common/person-name.ts";

describe("a match", () => {
  it.each([
    [{ email: "Alice@example.com" }, "alice@example.com", true],
    [{ email: "bob@example.com" }, "alice@example.com", false],
    [{ emailDomain: "Example.com" }, "alice@example.com", true],
    [{ emailDomain: "example.com" }, "alice@notexample.com", false],
    [{ emailDomain: "example.com" }, "alice@evil.example.com", false],
    [{ emailDomain: "example.com" }, "evil@example.com@other.org", false],
    [{ email: "alice@example.com", emailDomain: "other.org" }, "alice@example.com", false],
    [{ serviceToken: "2F1A.access" }, "service:2f1a.access", true],
    [{ serviceToken: "2f1a.access" }, "2f1a.access", false],
    [{ serviceToken: "2f1a.access" }, "alice@example.com", false],
    // No service token is an address, whatever its name is.
    [{ email: "service:x@example.com" }, "service:x@example.com", false],
    [{ emailDomain: "example.com" }, "service:x@example.com", false],
    // What else it asks for is taken to hold.
    [{}, "alice@example.com", true],
    [{}, "service:2f1a.access", true],
  ])("of %o could be that of %s: %s", (match, name, could) => {
    expect(couldMatchName(match, name)).toBe(could);
  });

  it("of a domain is nobody's who has no address", () => {
    expect(isOfDomain(undefined, "example.com")).toBe(false);
    expect(isOfDomain("alice@example.com", "example.com")).toBe(true);
  });
});
