/** The end of a sign-in: the redirect to loopback, or its address pasted. */
import { describe, expect, it } from "vitest";
import { readPasted, readRedirect, resultPage } from "../../../cli/oauth/redirect.ts";

const waiting = { redirectUri: "http://127.0.0.1:4321/callback", state: "the-state" };
const good = { method: "GET", target: "/callback?code=c&state=the-state", host: "127.0.0.1:4321" };

describe("a request to the loopback listener", () => {
  it("with the state of this sign-in is its answer, also a refusal", () => {
    const read = readRedirect(good, waiting);
    expect(read.kind === "answer" && Object.fromEntries(read.parameters)).toEqual({ code: "c", state: "the-state" });
    const refused = { ...good, target: "/callback?error=access_denied&state=the-state" };
    expect(readRedirect(refused, waiting).kind).toBe("answer");
  });

  it("may name its host without port 80, and with it", () => {
    const at80 = { redirectUri: "http://127.0.0.1:80/callback", state: "the-state" };
    for (const host of ["127.0.0.1", "127.0.0.1:80"]) expect(readRedirect({ ...good, host }, at80).kind).toBe("answer");
    expect(readRedirect({ ...good, host: "evil.example.com" }, at80)).toMatchObject({ status: 400 });
    expect(readRedirect({ ...good, host: "127.0.0.1" }, waiting)).toMatchObject({ status: 400 });
  });

  it.each([
    ["another state, as of a page that wants to sign its own user in", { target: "/callback?code=evil&state=x" }, 400],
    ["no state", { target: "/callback?code=evil" }, 400],
    ["a name that somebody points to this machine", { host: "evil.example.com:4321" }, 400],
    ["another port", { host: "127.0.0.1:4322" }, 400],
    ["no Host", { host: undefined }, 400],
    ["a Host that is more than one", { host: "127.0.0.1:4321/x" }, 400],
    ["a favicon", { target: "/favicon.ico" }, 404],
    ["an absolute target", { target: "http://evil.example.com/x?state=the-state" }, 404],
    ["a target that is none", { target: "//" }, 404],
    ["another method", { method: "POST" }, 405],
  ])("with %s is ignored", (_, change, status) => {
    expect(readRedirect({ ...good, ...change }, waiting)).toMatchObject({ kind: "other", status });
  });

  it("is answered with a page that shows text as text", () => {
    expect(resultPage("<script>", `"&'`)).not.toMatch(/<script>|"&'/);
  });
});

describe("what somebody pastes", () => {
  it("is the address of the page that did not load", () => {
    const pasted = readPasted(`  ${waiting.redirectUri}?code=c&state=the-state\n`, waiting);
    expect(pasted?.get("code")).toBe("c");
  });

  it.each([
    "",
    "yes",
    "https://evil.example.com/callback?code=c&state=the-state",
    "http://127.0.0.1:4322/callback?code=c&state=the-state",
    "http://127.0.0.1:4321/callback?code=c&state=another",
  ])("is nothing else: %s", (line) => {
    expect(readPasted(line, waiting)).toBeUndefined();
  });
});
