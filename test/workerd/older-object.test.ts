/** An edge that is newer than the objects. Here they are a Worker of their own, with workerd's own errors. */
import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { callUserObject, type UserObjectCalls } from "../../contract/user-object.ts";

afterEach(() => void vi.restoreAllMocks());

it("a method that the object lacks is a contract mismatch", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const object = env.USER_SESSIONS.getByName(`older-${crypto.randomUUID()}`);
  const older = { list: (argument: unknown) => Reflect.get(object, "listByCluster")(argument) };
  expect(await callUserObject(older as unknown as UserObjectCalls, "list", {})).toEqual({
    ok: false,
    error: { code: "contract_mismatch", message: expect.stringContaining("try again in a minute") },
  });
  expect(log.mock.calls.flat().map((line) => JSON.parse(line))).toEqual([
    { event: "contract_mismatch", level: "error", method: "list", detail: "the object has no such method" },
  ]);
  expect(await callUserObject(object, "list", {})).toEqual({ ok: true, value: [] });
});
