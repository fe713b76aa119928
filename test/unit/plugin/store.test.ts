/** Where sign-ins are stored, and who may read them. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { recordName, storeFolder } from "../../../cli/store/paths.ts";
import { parseRecord, renderRecord } from "../../../cli/store/record.ts";
import { type CompleteRecord, openStore } from "../../../cli/store/store.ts";
import { surroundingsOf } from "./support.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plugin-store-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const APPLICATION = "https://k8s.example.com";

const record: CompleteRecord = {
  application: APPLICATION,
  resource: APPLICATION,
  issuer: APPLICATION,
  tokenEndpoint: `${APPLICATION}/token`,
  client: { clientId: "client" },
  tokens: { accessToken: "oauth:secret-access", refreshToken: "secret-refresh", obtainedAtMs: 1, expiresAtMs: 2 },
  origins: [],
};

const fileStore = () => openStore(surroundingsOf({ env: { SALLYPORT_HOME: folder } }));

describe("the folder", () => {
  it.each([
    ["linux", {}, "/home/alice/.local/state/sallyport"],
    ["linux", { XDG_STATE_HOME: "/state" }, "/state/sallyport"],
    ["linux", { XDG_STATE_HOME: "relative" }, "/home/alice/.local/state/sallyport"],
    ["darwin", { XDG_STATE_HOME: "/state" }, "/home/alice/Library/Application Support/sallyport"],
    ["win32", { APPDATA: "C:\\Users\\alice\\AppData\\Roaming" }, "C:\\Users\\alice\\AppData\\Roaming\\sallyport"],
    ["win32", {}, "\\home\\alice\\AppData\\Roaming\\sallyport"],
    ["darwin", { SALLYPORT_HOME: "/elsewhere" }, "/elsewhere"],
    ["linux", { SALLYPORT_HOME: "/elsewhere", SALLYPORT_PROFILE: "alice" }, "/elsewhere/alice"],
    ["linux", { SALLYPORT_PROFILE: "on-call_2" }, "/home/alice/.local/state/sallyport/on-call_2"],
    ["win32", { APPDATA: "C:\\Roaming", SALLYPORT_PROFILE: "alice" }, "C:\\Roaming\\sallyport\\alice"],
    ["linux", { SALLYPORT_HOME: "/elsewhere", SALLYPORT_PROFILE: "" }, "/elsewhere"],
  ] as const)("on %s with %j is %s", (platform, env, path) => {
    expect(storeFolder({ platform, env, homeFolder: "/home/alice" })).toBe(path);
  });

  it.each(["..", ".", "../bob", "a/b", "a\\b", "with space", "alice.json", "x".repeat(65)])(
    "is in no profile of the name %j",
    (profile) => {
      const env = { SALLYPORT_PROFILE: profile };
      expect(() => storeFolder({ platform: "linux", env, homeFolder: "/home/alice" })).toThrow(
        /SALLYPORT_PROFILE must/,
      );
    },
  );

  it("has a file for each application, whose name leads nowhere else", () => {
    const names = [APPLICATION, `${APPLICATION}/-/admin`, "https://k8s.example.com:8443", "https://[::1]:1"].map(
      recordName,
    );
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9._-]+$/);
  });
});

describe("a stored sign-in", () => {
  it("is read as it was written, by its owner only", async () => {
    const store = fileStore();
    expect(await store.read(APPLICATION)).toBeUndefined();
    await store.write(record);
    expect(await store.read(APPLICATION)).toEqual(record);
    const [name = ""] = readdirSync(folder);
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    await store.remove(APPLICATION);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is refused where others can read it", async () => {
    const store = fileStore();
    await store.write(record);
    chmodSync(join(folder, `${recordName(APPLICATION)}.json`), 0o640);
    await expect(store.read(APPLICATION)).rejects.toThrow('run "chmod 600"');
  });

  it("is listed without its tokens, and copies are not", async () => {
    const store = fileStore();
    await store.write(record);
    writeFileSync(join(folder, "copy.json"), renderRecord(record), { mode: 0o600 });
    const { tokens: _, ...listed } = record;
    expect(await store.list()).toEqual([listed]);
  });

  it.each([
    ["", undefined],
    ["{", undefined],
    ["[]", undefined],
    [JSON.stringify({ version: 1, application: APPLICATION }), undefined],
    [JSON.stringify({ ...record, version: 1, tokens: { accessToken: 1 } }), undefined],
    [JSON.stringify({ ...record, version: 0 }), undefined],
    // An earlier version believed whatever lifetime a server said, and could not show such a time.
    [JSON.stringify({ ...record, version: 1, tokens: { ...record.tokens, expiresAtMs: 1e303 } }), undefined],
    [JSON.stringify({ ...record, version: 1, tokens: { ...record.tokens, obtainedAtMs: -1 } }), undefined],
  ])("that is none is as if nobody had signed in: %s", (text, value) => {
    expect(parseRecord(text)).toEqual({ ok: true, value });
  });

  it("of a newer version is not overwritten", () => {
    expect(parseRecord(JSON.stringify({ version: 2 }))).toEqual({ ok: false, error: expect.stringContaining("newer") });
  });
});

/**
 * Programs as macOS and libsecret have them, which keep secrets in files, and what they were started with.
 */
const SECURITY = `#!/usr/bin/env node
const fs = require("node:fs"), path = require("node:path");
const home = process.env.FAKE_KEYCHAIN;
fs.appendFileSync(path.join(home, "arguments.log"), JSON.stringify(process.argv.slice(2)) + "\\n");
const at = (args, name) => args[args.indexOf(name) + 1];
const file = (args) => path.join(home, Buffer.from(at(args, "-s") + at(args, "-a")).toString("hex"));
const run = (args) => {
  if (args[0] === "add-generic-password") fs.writeFileSync(file(args), at(args, "-w"));
  else if (!fs.existsSync(file(args))) process.exit(44);
  else if (args[0] === "find-generic-password") console.log(fs.readFileSync(file(args), "utf8"));
  else fs.rmSync(file(args));
};
const [first] = process.argv.slice(2);
if (first === "-i") run(fs.readFileSync(0, "utf8").trim().split(" "));
else run(process.argv.slice(2));
`;
const SECRET_TOOL = `#!/usr/bin/env node
const fs = require("node:fs"), path = require("node:path");
const home = process.env.FAKE_KEYCHAIN;
fs.appendFileSync(path.join(home, "arguments.log"), JSON.stringify(process.argv.slice(2)) + "\\n");
const [verb, ...args] = process.argv.slice(2);
const file = path.join(home, Buffer.from(args.filter((arg) => !arg.startsWith("--")).join()).toString("hex"));
if (verb === "store") fs.writeFileSync(file, fs.readFileSync(0));
else if (!fs.existsSync(file)) process.exit(1);
else if (verb === "lookup") process.stdout.write(fs.readFileSync(file));
else fs.rmSync(file);
`;

describe.each([
  ["darwin", "security", SECURITY],
  ["linux", "secret-tool", SECRET_TOOL],
] as const)("the keychain of %s", (platform, program, script) => {
  const surroundings = (text: string = script) => {
    writeFileSync(join(folder, program), text, { mode: 0o755 });
    const env = {
      PATH: `${folder}${delimiter}${process.env["PATH"]}`,
      FAKE_KEYCHAIN: folder,
      DBUS_SESSION_BUS_ADDRESS: "unix:path=/nowhere",
      XDG_STATE_HOME: join(folder, "state"),
    };
    return surroundingsOf({ platform, env, homeFolder: join(folder, "home") });
  };
  const filesOf = (given: ReturnType<typeof surroundings>) => {
    const path = storeFolder(given);
    return readdirSync(path).map((name) => readFileSync(join(path, name), "utf8"));
  };

  it("keeps the tokens, which are in no argument and in no file of ours", async () => {
    const given = surroundings();
    const store = openStore(given);
    await store.write(record);
    expect(await store.read(APPLICATION)).toEqual(record);
    expect(filesOf(given).join()).not.toMatch(/secret-/);
    const log = readFileSync(join(folder, "arguments.log"), "utf8");
    const inBase64 = Buffer.from(JSON.stringify(record.tokens)).toString("base64");
    expect(log).not.toContain("secret-access");
    expect(log).not.toContain(inBase64.slice(0, 20));
    await store.remove(APPLICATION);
    expect(await store.read(APPLICATION)).toBeUndefined();
  });

  it("that does not keep them leaves them in the file", async () => {
    const given = surroundings("#!/bin/sh\nexit 0\n");
    const store = openStore(given);
    await store.write(record);
    expect(filesOf(given).join()).toContain("secret-refresh");
    expect(await store.read(APPLICATION)).toEqual(record);
  });

  it("that has failed meanwhile keeps nothing after the sign-in is removed", async () => {
    await openStore(surroundings()).write(record);
    const failing = openStore(surroundings("#!/bin/sh\nexit 1\n"));
    await failing.write(record);
    const given = surroundings();
    expect(filesOf(given).join()).toContain("secret-refresh");
    await openStore(given).remove(APPLICATION);
    const calls = readFileSync(join(folder, "arguments.log"), "utf8").trim().split("\n");
    expect(calls.at(-1)).toMatch(/delete-generic-password|clear/);
  });

  it.each(["SALLYPORT_HOME", "SALLYPORT_PROFILE"])("is not asked where %s names a folder", async (name) => {
    const given = surroundings();
    const value = name === "SALLYPORT_HOME" ? join(folder, "own") : "own";
    const store = openStore({ ...given, env: { ...given.env, [name]: value } });
    await store.write(record);
    expect(readdirSync(folder)).not.toContain("arguments.log");
    expect(await store.read(APPLICATION)).toEqual(record);
  });
});
