/** The operators' command: dispatching, parsing, help and exit codes, the same for every command. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  duration,
  flag,
  nameAndValue,
  numberBetween,
  oneOf,
  parsed,
  parsedTexts,
  requiredParsed,
  requiredText,
  text,
  texts,
  textWithDefault,
} from "../../command-line/options.ts";
import { type CommandEntry, defineCommand, UsageError } from "../../tools/cli/command.ts";
import { COMMANDS } from "../../tools/cli/commands.ts";
import { dispatch } from "../../tools/cli/dispatch.ts";
import { EXIT_CODE_RULE, EXIT_CODES } from "../../tools/cli/exit-codes.ts";
import { OperatorError } from "../../tools/deployment/operator-error.ts";

/** A command with an option of every kind. It prints the values that it gets. */
const everyKind = defineCommand({
  options: {
    force: flag("a flag"),
    file: text("FILE", "an optional text"),
    state: textWithDefault("DIR", "a text with a default", ".sallyport"),
    name: requiredText("NAME", "a required text"),
    group: texts("NAME", "a repeatable text"),
    users: parsed("N", "a number", numberBetween(1, 10), "3"),
    wait: parsed("TIME", "a duration", duration),
    method: parsed("METHOD", "a choice", oneOf("certificate", "token"), "certificate"),
    claim: parsedTexts("NAME=VALUE", "repeatable pairs", nameAndValue),
  },
  positionals: { count: requiredParsed("COUNT", "a positional argument", numberBetween(0, 9)) },
  notes: ["Notes of the command."],
  run: async (values, { print }) => {
    print(JSON.stringify(values));
    return EXIT_CODES.done;
  },
});

const failing = (fail: () => unknown) =>
  defineCommand({
    options: { config: text("FILE", "a file") },
    run: async () => {
      throw fail();
    },
  });

const entry = (name: string, command: ReturnType<typeof defineCommand>): CommandEntry => ({
  name,
  summary: `Summary of ${name}`,
  load: async () => command,
});

const PROGRAM = {
  version: "1.2.3",
  commands: [
    entry("every-kind", everyKind),
    entry("negative", defineCommand({ options: {}, run: async () => EXIT_CODES.failed })),
    entry(
      "no-account",
      failing(() => new OperatorError("there is no account: create one")),
    ),
    entry(
      "wrong-pair",
      failing(() => new UsageError("--list and --enter exclude each other")),
    ),
    entry(
      "bug",
      failing(() => Object.assign(new Error("undefined is no function"), { stdout: "a-secret" })),
    ),
  ],
};

async function run(...args: string[]) {
  const out: string[] = [];
  const notes: string[] = [];
  const code = await dispatch(args, PROGRAM.version, {
    commands: PROGRAM.commands,
    env: {},
    print: (line) => void out.push(line),
    note: (line) => void notes.push(line),
  });
  return { code, stdout: out.join("\n"), stderr: notes.join("\n") };
}

const valuesOf = async (...args: string[]) => {
  const { code, stdout, stderr } = await run("every-kind", ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Record<string, unknown>;
};

describe("a command line", () => {
  it("is parsed into typed values, with defaults for what is left out", async () => {
    expect(await valuesOf("--name", "prod", "7")).toEqual({
      ...{ force: false, state: ".sallyport", name: "prod", group: [], users: 3 },
      ...{ method: "certificate", claim: [], count: 7 },
    });
    expect(
      await valuesOf(
        ...["--force", "--file=a=b", "--state", "dir", "5", "--name", "x", "--name", "y", "--group", "a", "--group=b"],
        ...["--users", "10", "--wait", "30m", "--method", "token", "--claim", "team=sre=core", "--claim", "a=b"],
      ),
    ).toEqual({
      ...{ force: true, file: "a=b", state: "dir", count: 5, name: "y", group: ["a", "b"], users: 10 },
      ...{ wait: 1_800_000, method: "token" },
      claim: [
        ["team", "sre=core"],
        ["a", "b"],
      ],
    });
  });

  it.each([
    ["an unknown option", ["--colour"], "unknown option --colour"],
    ["an unknown short option", ["-x"], "unknown option -x"],
    ["an option named like a member of every object", ["--constructor"], "unknown option --constructor"],
    ["a missing value at the end", ["--file"], "--file requires a value: FILE"],
    ["a missing value before the next option", ["--file", "--force"], "--file requires a value: FILE"],
    ["a value for a flag", ["--force=yes"], "--force takes no value"],
    ["a missing required option", ["1"], "--name is required"],
    ["a missing positional argument", ["--name", "x"], "COUNT is required"],
    ["a positional argument of another form", ["--name", "x", "ten"], "COUNT ten must be a whole number from 0 to 9"],
    ["a positional argument too many", ["--name", "x", "1", "2"], 'unexpected argument "2"'],
    ["a number out of bounds", ["--name", "x", "1", "--users", "11"], "--users 11 must be a whole number from 1 to 10"],
    ["an empty number", ["--name", "x", "1", "--users", ""], "--users  must be a whole number from 1 to 10"],
    ["a fraction", ["--name", "x", "1", "--users", "1.5"], "--users 1.5 must be a whole number from 1 to 10"],
    ["another choice", ["--name", "x", "1", "--method", "key"], "--method key must be certificate or token"],
    ["a pair without a name", ["--name", "x", "1", "--claim", "=b"], "--claim =b must look like NAME=VALUE"],
    ["a bad duration", ["--name", "x", "1", "--wait", "soon"], "--wait soon must look like 90s, 30m or 2h"],
  ])("with %s is refused: message, blank line, usage, exit code 2", async (_what, args, message) => {
    const { code, stdout, stderr } = await run("every-kind", ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^.*\n\nUsage: npx sallyport every-kind --name NAME \[options\] COUNT\n/);
    expect(stderr.split("\n")[0]).toBe(`sallyport every-kind: ${message}`);
  });

  it("takes a value that begins with a dash after an equals sign, and anything after --", async () => {
    expect(await valuesOf("--name=--force", "--", "1")).toMatchObject({ name: "--force", force: false });
  });

  it("may spell a duration in seconds, minutes or hours", () => {
    expect(["90s", "30m", "2h"].map(duration)).toEqual(
      [90_000, 1_800_000, 7_200_000].map((value) => ({ ok: true, value })),
    );
    for (const given of ["", "30", "m", "-1m", "1d", "1.5h"]) expect(duration(given)).toMatchObject({ ok: false });
  });
});

describe("help", () => {
  it.each([["--help"], ["-h"], ["help"]])("of the program, by %s, lists every command", async (...args) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const { name, summary } of PROGRAM.commands)
      expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, "m"));
    expect(stdout).toContain(EXIT_CODE_RULE);
  });

  it("of a command is the same by help COMMAND, COMMAND --help and -h, and wins over mistakes", async () => {
    const { code, stdout } = await run("help", "every-kind");
    expect(code).toBe(0);
    for (const args of [["--help"], ["-h"], ["--colour", "--help"]]) {
      expect(await run("every-kind", ...args)).toEqual({ code: 0, stdout, stderr: "" });
    }
    expect(stdout).toMatch(/^ {2}--state DIR +a text with a default \(default: \.sallyport\)$/m);
    expect(stdout).toMatch(/^ {2}--group NAME +a repeatable text \(may be given several times\)$/m);
    expect(stdout).toMatch(/^ {2}-h, --help +show this help$/m);
    expect(stdout).toContain("Notes of the command.");
    expect(stdout).toContain(EXIT_CODE_RULE);
  });

  it("is refused for a command that does not exist", async () => {
    expect(await run("help", "nonsense")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^sallyport: unknown command "nonsense"\n\nUsage: npx sallyport <command>/),
    });
  });
});

describe("the program", () => {
  it("prints its version", async () => {
    expect(await run("--version")).toEqual({ code: 0, stdout: "1.2.3", stderr: "" });
  });

  it.each([
    ["no command", [], "no command given"],
    ["an unknown command", ["deplyo"], 'unknown command "deplyo"'],
    ["an option before the command", ["--config", "x", "negative"], "unknown option --config"],
  ])("refuses %s with its usage and exit code 2", async (_what, args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.startsWith(`sallyport: ${message}\n\nUsage: npx sallyport <command> [options]\n`)).toBe(true);
  });

  it("ends with 1 where a command found something wrong", async () => {
    expect(await run("negative")).toEqual({ code: 1, stdout: "", stderr: "" });
  });

  it("ends with 1 and one message where the operator can fix a failure", async () => {
    expect(await run("no-account")).toEqual({
      code: 1,
      stdout: "",
      stderr: "sallyport no-account: there is no account: create one",
    });
  });

  it("ends with 2 and the usage where options do not go together", async () => {
    const { code, stderr } = await run("wrong-pair");
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^sallyport wrong-pair: --list and --enter exclude each other\n\nUsage: npx sallyport wrong-pair/,
    );
  });

  it("shows a bug's stack and none of the error's other fields, which may hold secrets", async () => {
    const { code, stderr } = await run("bug");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^sallyport bug: unexpected error, please report it:\nError: undefined is no function\n {4}at /,
    );
    expect(stderr).not.toContain("a-secret");
  });
});

describe("the commands", () => {
  const { scripts, bin } = JSON.parse(readFileSync("package.json", "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
    readonly bin: object;
  };

  it("each have an npm script as an alias, and no script names another", () => {
    const aliases = Object.entries(scripts).flatMap(([script, line]) => {
      const command = /^node tools\/cli\/main\.ts (\S+)$/.exec(line)?.[1];
      return command === undefined ? [] : [[script.replaceAll(":", "-"), command]];
    });
    expect(aliases).toEqual(expect.arrayContaining(COMMANDS.map(({ name }) => [name, name])));
    expect(aliases).toHaveLength(COMMANDS.length);
  });

  it("are reached by npx: the package's bin is the launcher", () => {
    expect(bin).toEqual({ sallyport: "tools/sallyport.js" });
  });

  it.each(COMMANDS)(
    "$name has help that fits a terminal, and describes its options in one style",
    async ({ name, summary, load }) => {
      const { stdout } = await runReal("help", name);
      expect(summary).toMatch(/^[A-Z].*[^.]$/);
      for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(120);
      for (const { description } of Object.values((await load()).options)) expect(description).not.toMatch(/\.$/);
    },
  );

  async function runReal(...args: string[]) {
    const out: string[] = [];
    const code = await dispatch(args, "0", {
      commands: COMMANDS,
      env: {},
      print: (line) => void out.push(line),
      note: (line) => void out.push(line),
    });
    expect(code).toBe(0);
    return { stdout: out.join("\n") };
  }
});
