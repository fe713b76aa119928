/** The address of a view: every filter is in it, so that a view can be sent to a colleague. */
import { useLocation } from "preact-iso/router";

/** As `CONSOLE_PATH` of worker/surfaces.ts. */
export const BASE = "/-/console";

/** The address of a page. @param page such as `/sessions` */
export function pageAddress(page: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") search.set(name, value);
  return `${BASE}${page}${search.size === 0 ? "" : `?${search}`}`;
}

/** The query of the address as a page's state. */
export interface AddressState {
  /** The parameter's value, or "" where the address has none. */
  get(name: string): string;
  /** The values of a parameter that may be repeated. */
  all(name: string): readonly string[];
  /** Changes parameters; "" or an empty list removes one. With `replace`, the Back button skips the state before. */
  set(changes: Readonly<Record<string, string | readonly string[]>>, replace?: boolean): void;
}

/** Reads and changes the query of the address. */
export function useAddressState(): AddressState {
  const { url, route } = useLocation();
  const { pathname, searchParams } = new URL(url, location.origin);
  return {
    get: (name) => searchParams.get(name) ?? "",
    all: (name) => searchParams.getAll(name),
    set: (changes, replace = false) => {
      const next = new URLSearchParams(searchParams);
      for (const [name, given] of Object.entries(changes)) {
        next.delete(name);
        for (const value of [given].flat()) if (value !== "") next.append(name, value);
      }
      route(pathname + (next.size === 0 ? "" : `?${next}`), replace);
    },
  };
}

/** As `CONSOLE_ASSETS_PATH` of worker/surfaces.ts. */
export const ASSETS = `${BASE}/assets/`;
