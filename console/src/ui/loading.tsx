/** What a page shows while it loads, and where it fails. */
import type { ComponentChildren, JSX } from "preact";
import { signIns } from "../api/client.ts";
import type { ApiFailure } from "../api/endpoints.ts";
import type { Loaded } from "../api/use-call.ts";

/** A failure: what happened, what to do, and a button that does it. */
export function Failure({
  failure,
  retry,
}: {
  readonly failure: ApiFailure;
  readonly retry?: (() => void) | undefined;
}): JSX.Element {
  const { signIn } = failure;
  const again = signIn ? () => signIns.begin(signIn) : retry;
  return (
    <div class="failure" role="alert">
      <p>{failure.message}</p>
      {again && (
        <button type="button" onClick={again}>
          {signIn ? "Sign in again" : "Try again"}
        </button>
      )}
    </div>
  );
}

/** Shows the answer of a call once it is there: with what failed above it, and as stale while it reloads. */
export function Show<T>({
  loaded,
  children,
}: {
  readonly loaded: Loaded<T>;
  readonly children: (value: T) => ComponentChildren;
}): JSX.Element {
  const { value, failure, isLoading, reload } = loaded;
  return (
    <>
      {failure && <Failure failure={failure} retry={reload} />}
      {value === undefined && isLoading && <p class="loading">Loading…</p>}
      {value !== undefined && (
        <div class={isLoading ? "stale" : undefined} aria-busy={isLoading}>
          {children(value)}
        </div>
      )}
    </>
  );
}
