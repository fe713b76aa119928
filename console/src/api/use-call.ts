/** Calls of the API in components: loaded, kept while they are loaded again, and ended with the component. */
import { useEffect, useState } from "preact/hooks";
import type { Result } from "../../../common/result.ts";
import { call } from "./client.ts";
import type { Answer, ApiFailure, Endpoint, Parts } from "./endpoints.ts";
import type { CallOptions } from "./sign-in.ts";

/** What a component knows of a call. */
export interface Loaded<T> {
  /** The newest answer. It stays while the call is sent again. */
  readonly value: T | undefined;
  /** Why the newest call failed. */
  readonly failure: ApiFailure | undefined;
  readonly isLoading: boolean;
  /** Sends the call again. What is shown looks old until it is answered. */
  readonly reload: () => void;
  /**
   * The same without a sign of it: what is shown stays as it is, unless the answer is another. Where Access wants
   * a sign-in, it fails, and the page stays.
   */
  readonly refresh: () => void;
}

/**
 * Reads a route, again whenever the parts change.
 *
 * @param endpoint a `GET`; undefined to wait
 */
export function useCall<E extends Endpoint>(endpoint: E | undefined, parts: Parts<E> = {}): Loaded<Answer<E>> {
  const key = `${endpoint} ${JSON.stringify(parts)}`;
  const load = (signal: AbortSignal, options: CallOptions) =>
    endpoint === undefined ? undefined : call(endpoint, parts, signal, options);
  return useLoaded(key, load);
}

interface State<T> {
  readonly key: string;
  readonly value: T | undefined;
  readonly failure: ApiFailure | undefined;
  readonly isLoading: boolean;
}

/**
 * Loads something whenever the key changes.
 *
 * @param load what to load; undefined to wait. The signal aborts when the answer is no longer wanted
 */
export function useLoaded<T>(
  key: string,
  load: (signal: AbortSignal, options: CallOptions) => Promise<Result<T, ApiFailure>> | undefined,
): Loaded<T> {
  const [{ round, isQuiet }, setRound] = useState({ round: 0, isQuiet: false });
  const [state, setState] = useState<State<T>>({ key, value: undefined, failure: undefined, isLoading: true });
  // The key stands for what is loaded.
  useEffect(() => {
    const controller = new AbortController();
    // After a quiet call somebody may have gone on to another key, which they ask for themselves.
    // … and takes the place of one that is not quiet.
    const mayLeave = !isQuiet || state.key !== key || state.isLoading;
    // A quiet call shows that it is sent only where there is nothing of its own to show.
    setState((before) =>
      isQuiet && before.key === key ? before : { key, value: before.value, failure: undefined, isLoading: true },
    );
    void load(controller.signal, { mayLeave })?.then((result) => {
      if (controller.signal.aborted) return;
      setState((before) =>
        result.ok
          ? { key, value: result.value, failure: undefined, isLoading: false }
          : { key, value: before.key === key ? before.value : undefined, failure: result.error, isLoading: false },
      );
    });
    return () => controller.abort();
  }, [key, round]);
  const again = (quietly: boolean) => () => setRound((before) => ({ round: before.round + 1, isQuiet: quietly }));
  // What was loaded for another key is shown as loading, never as the answer to this one.
  const isCurrent = state.key === key;
  return {
    value: isCurrent ? state.value : undefined,
    failure: isCurrent ? state.failure : undefined,
    isLoading: !isCurrent || state.isLoading,
    reload: again(false),
    refresh: again(true),
  };
}
