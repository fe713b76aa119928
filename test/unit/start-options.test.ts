import { describe, expect, it } from "vitest";
import { parseCommandLine, USAGE } from "../../dev/stack/options.ts";
import { parseUpstream } from "../../dev/stack/upstream.ts";

describe("the command line of npm start", () => {
  it("starts with the defaults without flags", () => {
    expect(parseCommandLine([])).toEqual({
      kind: "start",
      stateDir: ".sallyport",
      port: undefined,
      upstream: undefined,
      secondCluster: false,
      transport: undefined,
      configFile: undefined,
      webhooksFile: undefined,
      examples: false,
      verbose: false,
    });
  });

  it("accepts every flag, with a space or an equals sign", () => {
    const args = [
      "--port",
      "9000",
      "--state=/tmp/s",
      "--upstream",
      "http://127.0.0.1:8001",
      "--transport=websocket",
      "--access-token-seconds=30",
      "--config=c.json",
      "--webhooks=w.json",
      "--verbose",
    ];
    expect(parseCommandLine(args)).toEqual({
      kind: "start",
      stateDir: "/tmp/s",
      port: 9000,
      upstream: "http://127.0.0.1:8001",
      secondCluster: false,
      transport: "websocket",
      accessTokenSeconds: 30,
      configFile: "c.json",
      webhooksFile: "w.json",
      examples: false,
      verbose: true,
    });
  });

  it("makes examples where it is told to, beside every other flag but a real cluster", () => {
    expect(parseCommandLine(["--examples"])).toMatchObject({ kind: "start", examples: true });
    expect(parseCommandLine(["--examples", "--clusters", "2", "--config=c.json"])).toMatchObject({ examples: true });
    expect(parseCommandLine(["--examples", "--upstream", "http://127.0.0.1:8001"])).toMatchObject({ kind: "misuse" });
    expect(parseCommandLine(["--examples=3"])).toMatchObject({ kind: "misuse" });
  });

  it("accepts port 0 for any free ports, and the highest that leaves one for each persona", () => {
    expect(parseCommandLine(["--port", "0"])).toMatchObject({ kind: "start", port: 0 });
    expect(parseCommandLine(["--port", "65532"])).toMatchObject({ kind: "start", port: 65_532 });
  });

  it.each([
    ["an unknown flag", ["--prot", "1"]],
    ["a stray word", ["embedded"]],
    ["a lifetime of nothing", ["--access-token-seconds", "0"]],
    ["a lifetime of more than a day", ["--access-token-seconds", "86401"]],
    ["a lifetime with a unit", ["--access-token-seconds", "15m"]],
    ["an unknown transport", ["--transport", "udp"]],
    ["a port that is no number", ["--port", "http"]],
    ["a negative port", ["--port=-1"]],
    ["a port in another notation", ["--port", "1e3"]],
    ["a port that leaves none for mallory", ["--port", "65533"]],
    ["a flag without its value", ["--state"]],
    ["an empty value", ["--state="]],
    ["an upstream that cannot be one", ["--upstream", "https://127.0.0.1:6443"]],
  ])("rejects %s", (_what, args) => {
    expect(parseCommandLine(args).kind).toBe("misuse");
  });

  it("documents every flag in --help", () => {
    expect(parseCommandLine(["--help"])).toEqual({ kind: "help" });
    for (const flag of [
      "--port",
      "--state",
      "--upstream",
      "--transport",
      "--access-token-seconds",
      "--config",
      "--examples",
      "--verbose",
    ])
      expect(USAGE).toContain(flag);
  });
});

describe("an upstream's address", () => {
  it.each([
    ["http://127.0.0.1:8001", { url: "http://127.0.0.1:8001", address: "127.0.0.1:8001", remote: false }],
    ["http://localhost:8001/", { url: "http://localhost:8001", address: "localhost:8001", remote: false }],
    ["http://[::1]:8001", { url: "http://[::1]:8001", address: "[::1]:8001", remote: false }],
    ["http://proxy.internal", { url: "http://proxy.internal", address: "proxy.internal:80", remote: true }],
  ])("accepts %s", (text, expected) => {
    expect(parseUpstream(text)).toEqual(expected);
  });

  it.each([
    "https://127.0.0.1:6443",
    "127.0.0.1:8001",
    "ftp://127.0.0.1",
    "http://127.0.0.1:8001/k8s",
    "http://127.0.0.1:8001/?a=b",
    "http://me:secret@127.0.0.1:8001",
    "nonsense",
  ])("refuses %s with a message", (text) => {
    expect(parseUpstream(text)).toHaveProperty("fault", expect.stringMatching(/^must/));
  });
});
