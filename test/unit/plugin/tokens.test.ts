/** When a stored token is used, renewed, or nobody is signed in. */
import { describe, expect, it } from "vitest";
import { askAgainAtMs, decideToken, isUsable, type Tokens, tokensFrom } from "../../../cli/tokens.ts";

const T0 = 1_800_000_000_000;
const MINUTE = 60_000;

const tokens: Tokens = tokensFrom({ access_token: "A", refresh_token: "R", expires_in: 600 }, T0);
const withoutRefresh: Tokens = tokensFrom({ access_token: "A", expires_in: 600 }, T0);

describe("a token", () => {
  it("is used while it is fresh", () => {
    expect(decideToken(tokens, T0)).toEqual({ kind: "use", tokens });
    expect(decideToken(tokens, T0 + 9 * MINUTE - 1)).toEqual({ kind: "use", tokens });
  });

  it("is renewed a minute before it expires, and afterwards", () => {
    expect(decideToken(tokens, T0 + 9 * MINUTE)).toEqual({ kind: "refresh", refreshToken: "R" });
    expect(decideToken(tokens, T0 + 1e9)).toEqual({ kind: "refresh", refreshToken: "R" });
  });

  it("of a short life is used for two thirds of it", () => {
    const short = tokensFrom({ access_token: "A", refresh_token: "R", expires_in: 6 }, T0);
    expect(askAgainAtMs(short)).toBe(T0 + 4_000);
    expect(decideToken(short, T0 + 3_999).kind).toBe("use");
    expect(decideToken(short, T0 + 4_000).kind).toBe("refresh");
  });

  it("that the server refused is renewed, whatever its age", () => {
    expect(decideToken(tokens, T0, { isRejected: true })).toEqual({ kind: "refresh", refreshToken: "R" });
    expect(decideToken(withoutRefresh, T0, { isRejected: true })).toEqual({ kind: "sign-in", because: "expired" });
  });

  it("of a clock that has been set back is renewed: its age is not known", () => {
    expect(decideToken(tokens, T0 - MINUTE).kind).toBe("use");
    expect(decideToken(tokens, T0 - MINUTE - 1).kind).toBe("refresh");
    expect(isUsable(tokens, T0 - MINUTE - 1)).toBe(false);
  });

  it("that cannot be renewed asks for a sign-in", () => {
    expect(decideToken(undefined, T0)).toEqual({ kind: "sign-in", because: "never" });
    expect(decideToken(withoutRefresh, T0 + 9 * MINUTE)).toEqual({ kind: "sign-in", because: "expired" });
  });

  it("counts until its last moment where it cannot be renewed just now", () => {
    expect(isUsable(tokens, T0 + 10 * MINUTE - 1)).toBe(true);
    expect(isUsable(tokens, T0 + 10 * MINUTE)).toBe(false);
  });
});

describe("an answer of the token endpoint", () => {
  it("that has no refresh token leaves the earlier one valid", () => {
    expect(tokensFrom({ access_token: "B", expires_in: 60 }, T0, "R")).toMatchObject({ refreshToken: "R" });
    expect(tokensFrom({ access_token: "B", refresh_token: "S", expires_in: 60 }, T0, "R").refreshToken).toBe("S");
  });

  it.each([
    [1e300, 31 * 24 * 60 * MINUTE],
    [Number.POSITIVE_INFINITY, 31 * 24 * 60 * MINUTE],
    [-5, 0],
    [Number.NaN, 5 * MINUTE],
    [14 * 24 * 60 * 60, 14 * 24 * 60 * MINUTE],
  ])("that says %d seconds counts for %d ms", (seconds, ms) => {
    expect(tokensFrom({ access_token: "B", expires_in: seconds }, T0).expiresAtMs).toBe(T0 + ms);
  });

  it("that does not say how long it counts is taken for the least that Cloudflare recommends", () => {
    expect(tokensFrom({ access_token: "B" }, T0).expiresAtMs).toBe(T0 + 5 * MINUTE);
  });
});
