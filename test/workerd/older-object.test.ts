/** An edge that is newer than the objects. Here they are a Worker of their own, with workerd's own errors. */
import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { callDirectory, DIRECTORY_NAME, type DirectoryCalls } from "../../contract/directory.ts";
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

it("… and so is one that the directory lacks", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const query = { filter: { user: `${crypto.randomUUID()}@example.com` }, limit: 1 };
  const listLive = (argument: unknown) =>
    Reflect.get(env.DIRECTORY.getByName(DIRECTORY_NAME), "listByCluster")(argument);
  const older = { getByName: () => ({ listLive }) as unknown as DirectoryCalls };
  expect(await callDirectory(older, "listLive", query)).toMatchObject({ error: { code: "contract_mismatch" } });
  expect(await callDirectory(env.DIRECTORY, "listLive", query)).toMatchObject({ ok: true, value: { sessions: [] } });
});
