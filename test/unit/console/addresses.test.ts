/**
 * The console's copies of the edge's addresses: of the Workers it imports types only, so nothing but these
 * tests ties them together.
 */
import { globSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ASSETS_PATH } from "../../../console/build.ts";
import { ASSETS, BASE } from "../../../console/src/address.ts";
import { SignIns } from "../../../console/src/api/sign-in.ts";
import { ROUTES } from "../../../worker/api/routes.ts";
import { CONSOLE_ASSETS_PATH, CONSOLE_PATH, CONSOLE_RETURN_PATH, isAdminPath } from "../../../worker/surfaces.ts";

/** Where a browser is led that needs a sign-in for a call. */
function leadsTo(call: string): string | undefined {
  let left: string | undefined;
  const signIns = new SignIns({
    storage: { getItem: () => null, setItem: () => {}, removeItem: () => {} },
    address: () => `${CONSOLE_PATH}live`,
    leave: (address) => {
      left = address;
    },
    now: () => 0,
  });
  void signIns.require(call);
  return left;
}

describe("the console's addresses", () => {
  it("of itself and its files are those that the edge serves", () => {
    expect([ASSETS_PATH, ASSETS, `${BASE}/`]).toEqual([CONSOLE_ASSETS_PATH, CONSOLE_ASSETS_PATH, CONSOLE_PATH]);
  });

  it.each(["/-/admin/sessions", "/-/admin/", "/-/admin", "/-/administrators", "/-/whoami", "/-/console/admin/"])(
    "ask for the admin API's sign-in where the edge has the admin API: %s",
    (call) => {
      const isLedThroughAdmin = leadsTo(call)?.startsWith(`${CONSOLE_RETURN_PATH}?to=`);
      expect(isLedThroughAdmin).toBe(isAdminPath(call));
    },
  );

  it("that its source writes out are routes of the edge, its own pages, or what one of these begins with", () => {
    const served = [...Object.values(ROUTES).map(({ path }) => path), CONSOLE_PATH, CONSOLE_RETURN_PATH];
    const written = globSync("console/src/**/*.{ts,tsx}").flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(/["`](?:[A-Z]+ )?(\/-\/[^"`?$]*)["`?$]/g)].map(([, path = ""]) => path),
    );
    expect(written).toContain("/-/admin/live");
    expect(written).toContain("/-/whoami");
    const unknown = written.filter((path) => !served.some((known) => known === path || known.startsWith(`${path}/`)));
    expect(unknown.filter((path) => !(path.endsWith("/") && served.some((known) => known.startsWith(path))))).toEqual(
      [],
    );
  });
});
