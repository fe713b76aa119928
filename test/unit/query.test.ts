import { describe, expect, test } from "vitest";
import { pinnedField } from "../../kubernetes/field-selector.ts";
import { boolValue, firstValue, parseQuery } from "../../kubernetes/query.ts";

describe("a query is read as Go reads it", () => {
  test.each<[string, [string, string[]][], boolean]>([
    ["", [], false],
    ["?", [], false],
    [
      "?a=1&a=2&b",
      [
        ["a", ["1", "2"]],
        ["b", [""]],
      ],
      false,
    ],
    [
      "a=1&&b=2&",
      [
        ["a", ["1"]],
        ["b", ["2"]],
      ],
      false,
    ],
    ["a=b=c", [["a", ["b=c"]]], false],
    ["=x", [["", ["x"]]], false],
    ["a+b=c+d%2B", [["a b", ["c d+"]]], false],
    ["command=%C3%A4%20%F0%9F%98%80", [["command", ["ä 😀"]]], false],
    ["%EF%BB%BFtty=1", [["\ufefftty", ["1"]]], false],
    ["watch=%ff", [["watch", ["\ufffd"]]], false],
    ["command=a;b&tty=1", [["tty", ["1"]]], true],
    ["tty=%zz&stdin=1", [["stdin", ["1"]]], true],
    ["%=1", [], true],
    ["command=a%3Bb", [["command", ["a;b"]]], false],
  ])("%s", (search, values, malformed) => {
    const query = parseQuery(search);
    expect([...query.values]).toEqual(values);
    expect(query.malformed).toBe(malformed);
  });

  test("the first of several values counts", () => {
    expect(firstValue(parseQuery("container=a&container=b"), "container")).toBe("a");
  });
});

describe("a boolean parameter is read as apimachinery reads it", () => {
  test.each([
    ["", false],
    ["tty=0", false],
    ["tty=false", false],
    ["tty=False", false],
    ["tty=FALSE", false],
    ["tty=0&tty=1", false],
    ["TTY=true", false],
    ["tty=true", true],
    ["tty=1", true],
    ["tty=True", true],
    ["tty", true],
    ["tty=", true],
    ["tty=no", true],
    ["tty=00", true],
    ["tty=%20false", true],
    ["tty=1&tty=0", true],
  ])("%s is %s", (search, expected) => {
    expect(boolValue(parseQuery(search), "tty")).toBe(expected);
  });
});

describe("the value a field selector pins metadata.name to", () => {
  test.each([
    ["metadata.name=web", "web"],
    ["metadata.name==web", "web"],
    ["status.phase!=Failed,metadata.name=web", "web"],
    ["metadata.name=b,metadata.name=a", "a"],
    ["metadata.name=a\\,b\\=c\\\\d", "a,b=c\\d"],
    [",metadata.name=web,", "web"],
    ["metadata.name=", ""],
    ["", undefined],
    ["metadata.name!=web", undefined],
    ["metadata.namespace=web", undefined],
    ["metadata.name=web,nonsense", undefined],
    ["metadata.name=a=b", undefined],
    ["metadata.name=a\\x", undefined],
    ["metadata.name=a\\", undefined],
    [" metadata.name=web", undefined],
  ])("%s gives %j", (selector, value) => {
    expect(pinnedField(selector, "metadata.name")).toBe(value);
  });
});
