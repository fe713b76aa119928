import { describe, expect, test } from "vitest";
import { readRequestedIdentity } from "../../kubernetes/requested-identity.ts";

type Line = [name: string, value: string];
const read = (...lines: Line[]) => readRequestedIdentity(new Headers(lines));
const USER: Line = ["Impersonate-User", "alice@example.com"];

describe("what kubectl sends", () => {
  test("without --as asks for nothing", () => {
    const others: Line[] = [
      ["accept", "*/*"],
      ["authorization", "Bearer x"],
      ["x-impersonate-user", "a"],
      ["impersonate", "a"],
      ["connection", "Impersonate-User"],
    ];
    expect(read(...others)).toEqual({ ok: true, value: undefined });
  });

  test("with --as names a user, without groups", () => {
    expect(read(USER)).toEqual({ ok: true, value: { user: "alice@example.com", groups: [] } });
  });

  test.each(["impersonate-user", "IMPERSONATE-USER", "iMpErSoNaTe-UsEr"])("in any case: %s", (name) => {
    expect(read([name, "alice"])).toEqual({ ok: true, value: { user: "alice", groups: [] } });
  });

  test("with --as-group has a line for each group, which Headers joins", () => {
    const value = { user: "alice@example.com", groups: ["developers", "on-call", "developers"] };
    expect(
      read(
        USER,
        ["Impersonate-Group", "developers"],
        ["impersonate-group", "on-call"],
        ["Impersonate-Group", "developers"],
      ),
    ).toEqual({ ok: true, value });
    // Other joiners on the way add no space, or more of it.
    expect(read(USER, ["Impersonate-Group", "developers,on-call, developers"])).toEqual({ ok: true, value });
    expect(read(USER, ["Impersonate-Group", "developers,  on-call"])).toEqual({
      ok: true,
      value: { user: "alice@example.com", groups: ["developers", " on-call"] },
    });
  });
});

describe("refused, and never ignored", () => {
  test.each<[string, Line[], RegExp]>([
    ["a uid", [USER, ["Impersonate-Uid", "0"]], /only --as and --as-group/],
    ["an extra", [USER, ["Impersonate-Extra-Scopes", "all"]], /only --as and --as-group/],
    ["our own extra", [USER, ["Impersonate-Extra-Sallyport-Session", "x"]], /only --as and --as-group/],
    ["a header that later versions may add", [USER, ["Impersonate-Something-New", "x"]], /only --as and --as-group/],
    ["the prefix alone", [["Impersonate-", "x"]], /only --as and --as-group/],
    ["an underscore, which some servers convert", [["Impersonate_User", "alice"]], /only --as and --as-group/],
    ["an underscore beside the header", [USER, ["Impersonate_Group", "admins"]], /only --as and --as-group/],
    ["a group without a user", [["Impersonate-Group", "developers"]], /--as-group needs --as/],
    ["an empty user", [["Impersonate-User", ""]], /--as is empty/],
    [
      "an empty user with a group",
      [
        ["Impersonate-User", " "],
        ["Impersonate-Group", "a"],
      ],
      /--as is empty/,
    ],
    ["two users", [USER, ["Impersonate-User", "bob"]], /--as names several users/],
    ["the same user twice", [USER, USER], /--as names several users/],
    ["an empty line before the user", [["Impersonate-User", ""], USER], /--as names several users/],
    ["a user with a comma", [["Impersonate-User", "alice,bob"]], /--as names several users/],
    ["an empty group", [USER, ["Impersonate-Group", ""]], /--as-group is empty/],
    ["an empty group among others", [USER, ["Impersonate-Group", "a"], ["Impersonate-Group", ""]], /is empty/],
    ["a comma at the end", [USER, ["Impersonate-Group", "a,"]], /--as-group is empty/],
  ])("%s", (_, lines, message) => {
    expect(read(...lines)).toEqual({ ok: false, error: expect.stringMatching(message) });
  });
});

test("a header of the largest size is read in proportion to it", () => {
  const groups = "a, ".repeat(40_000);
  const read = readRequestedIdentity(new Headers([USER, ["Impersonate-Group", `${groups}a`]]));
  expect(read.ok && read.value?.groups.length).toBe(40_001);
});
