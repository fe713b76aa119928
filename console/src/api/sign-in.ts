/**
 * What happens when Access answers in place of the API, because its sign-in is over or was never made: the
 * admin API is an application of its own. A page cannot follow Access to its sign-in, so the browser itself
 * goes there and comes back to the same address. Once: whom Access sends back without admitting them reads
 * why, and is not led around in circles. A call that nobody asked for never leads away: what somebody types
 * would be lost.
 */
import { err, type Result } from "../../../common/result.ts";
import type { AccessApplication, ApiFailure } from "./endpoints.ts";

/** As `ADMIN_PREFIX` and `CONSOLE_RETURN_PATH` of worker/surfaces.ts. */
const ADMIN_PREFIX = "/-/admin/";
const RETURN_PATH = "/-/admin/console";

/** A second sign-in for the same application within this time is not begun without being asked for. */
const AGAIN_AFTER_MS = 60_000;

/** How a call is sent. */
export interface CallOptions {
  /** Whether the page may be left for a sign-in that the call needs. Default: true. False for what runs by itself. */
  readonly mayLeave?: boolean;
}

/** What a sign-in needs of the browser. */
export interface SignInBrowser {
  readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  /** The path and query that are shown. */
  address(): string;
  /** Leaves this page for another address of this host. */
  leave(address: string): void;
  now(): number;
}

/** Leads to the sign-ins of Access. One for each page that is open. */
export class SignIns {
  readonly #browser: SignInBrowser;
  #isLeaving = false;

  constructor(browser: SignInBrowser) {
    this.#browser = browser;
  }

  /**
   * Leads the browser to the sign-in that a call needs.
   *
   * @param path of the call
   * @returns a promise that stays pending while the page is left, or why it is not
   */
  require(path: string, { mayLeave = true }: CallOptions = {}): Promise<Result<never, ApiFailure>> {
    const application = applicationOf(path);
    const { storage, now } = this.#browser;
    if (!this.#isLeaving) {
      const begunAt = storage.getItem(keyOf(application));
      // Since the last sign-in, none of its calls was answered: a stream that connects again says the same.
      const isInVain = begunAt !== null && (!mayLeave || now() - Number(begunAt) < AGAIN_AFTER_MS);
      if (isInVain) return Promise.resolve(err(notAdmitted(application)));
      if (!mayLeave) return Promise.resolve(err(signInOver(application)));
      this.begin(application);
    }
    return new Promise(() => {});
  }

  /** Begins a sign-in, because it is needed or because somebody asked to try again. */
  begin(application: AccessApplication): void {
    const { storage, now, address, leave } = this.#browser;
    this.#isLeaving = true;
    storage.setItem(keyOf(application), String(now()));
    // Access protects the path that it is asked for: the way to its sign-in is through it, and back.
    leave(application === "admin" ? `${RETURN_PATH}?to=${encodeURIComponent(address())}` : address());
  }

  /** Notes that a call was answered, so that a later sign-in is begun at once. */
  succeeded(path: string): void {
    this.#browser.storage.removeItem(keyOf(applicationOf(path)));
  }
}

function applicationOf(path: string): AccessApplication {
  return path.startsWith(ADMIN_PREFIX) ? "admin" : "host";
}

function keyOf(application: AccessApplication): string {
  return `sallyport.signIn.${application}`;
}

function notAdmitted(application: AccessApplication): ApiFailure {
  const what = application === "admin" ? "the admin API" : "this host";
  const message = `Access asks for a sign-in to ${what} again, just after one. Its cookie may be blocked, or your access may have been removed: try again, or contact your administrator.`;
  return { code: "sign_in", message, signIn: application };
}

function signInOver(application: AccessApplication): ApiFailure {
  const what = application === "admin" ? "the admin API" : "this host";
  const message = `Your sign-in to ${what} is over, so what is shown grows old: finish what you write, then sign in again.`;
  return { code: "sign_in", message, signIn: application };
}
