import { expect, expectTypeOf, it } from "vitest";
import { err, ok, type Result } from "../../../common/result.ts";

function parseDigit(text: string): Result<number, "not_a_digit"> {
  return /^\d$/.test(text) ? ok(Number(text)) : err("not_a_digit");
}

it("has a value when it is a success, even a falsy one", () => {
  expect(parseDigit("0")).toEqual({ ok: true, value: 0 });
});

it("has an error when it is a failure", () => {
  expect(parseDigit("x")).toEqual({ ok: false, error: "not_a_digit" });
});

it("gives access to the value or to the error only after a check", () => {
  const result = parseDigit("7");
  if (result.ok) expectTypeOf(result.value).toEqualTypeOf<number>();
  else expectTypeOf(result.error).toEqualTypeOf<"not_a_digit">();
  expectTypeOf(result).not.toHaveProperty("value");
  expectTypeOf(result).not.toHaveProperty("error");
});
