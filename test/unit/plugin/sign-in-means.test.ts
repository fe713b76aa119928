/** How somebody can sign in from where the plugin runs, and when waiting for it would be a hang. */
import { describe, expect, it } from "vitest";
import { signInMeans } from "../../../cli/browser.ts";
import { surroundingsOf } from "./support.ts";

const isFile = (path: string) => path === "/opt/my browser/open";

const meansOf = (change: Parameters<typeof surroundingsOf>[0], mayReadStdin = true) =>
  signInMeans(surroundingsOf(change), mayReadStdin, isFile);

const terminal = { isStdinTerminal: true, isStderrTerminal: true };

describe("the browser", () => {
  it.each([
    ["darwin", {}, { program: "open", args: [] }],
    ["win32", {}, { program: "rundll32", args: ["url.dll,FileProtocolHandler"] }],
    ["linux", { DISPLAY: ":0" }, { program: "xdg-open", args: [] }],
    ["linux", { WAYLAND_DISPLAY: "wayland-0" }, { program: "xdg-open", args: [] }],
    ["linux", {}, undefined],
    ["darwin", { SSH_CONNECTION: "1 2 3 4" }, undefined],
    ["linux", { DISPLAY: ":10", SSH_TTY: "/dev/pts/1" }, undefined],
  ] as const)("on %s with %j is %j", (platform, env, browser) => {
    expect(meansOf({ platform, env }).browser).toEqual(browser);
  });

  it.each([
    ["/opt/my browser/open", { program: "/opt/my browser/open", args: [] }],
    ["curl -sS --location", { program: "curl", args: ["-sS", "--location"] }],
    ['"/opt/a b" --new "x y"', { program: "/opt/a b", args: ["--new", "x y"] }],
    ["echo $(id);id", { program: "echo", args: ["$(id);id"] }],
  ])("of SALLYPORT_BROWSER=%s is run without a shell", (text, browser) => {
    expect(meansOf({ env: { SALLYPORT_BROWSER: text } })).toMatchObject({ browser, isPossible: true });
  });

  it("can be none: the address is printed", () => {
    const means = meansOf({ platform: "darwin", env: { SALLYPORT_BROWSER: "none" }, ...terminal });
    expect(means).toEqual({ canPaste: true, isPossible: true });
  });
});

describe("a sign-in", () => {
  it("is possible in a terminal without a browser: the address can be opened elsewhere and pasted", () => {
    expect(meansOf(terminal)).toEqual({ canPaste: true, isPossible: true });
  });

  it("does not read a standard input that is kubectl's, or no terminal", () => {
    expect(meansOf(terminal, false).canPaste).toBe(false);
    expect(meansOf({ isStderrTerminal: true }).canPaste).toBe(false);
  });

  it("is impossible where nobody would see its page", () => {
    expect(meansOf({}).isPossible).toBe(false);
    expect(meansOf({ env: { SSH_CONNECTION: "1 2 3 4" } }).isPossible).toBe(false);
    expect(meansOf({ env: { SALLYPORT_BROWSER: "none" } }).isPossible).toBe(false);
  });

  it("is possible from a program with windows, but not on a runner with a desktop", () => {
    expect(meansOf({ platform: "darwin" }).isPossible).toBe(true);
    expect(meansOf({ platform: "darwin", env: { CI: "true" } }).isPossible).toBe(false);
  });
});
