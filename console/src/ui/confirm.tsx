/** Commands that somebody confirms, with a reason: ending a session, locking a person. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Result } from "../../../common/result.ts";
import type { ApiFailure } from "../api/endpoints.ts";
import { announce } from "./announce.tsx";
import { Failure } from "./loading.tsx";

interface CommandProps {
  /** What the button and the dialog are called: a verb and its object. */
  readonly title: string;
  /** What it does, and to whom. */
  readonly children: ComponentChildren;
  /** More fields of the dialog's form, read by `run`. */
  readonly fields?: ComponentChildren;
  /** Carries it out. @param form the dialog's fields; `reason` is one */
  readonly run: (form: FormData) => Promise<Result<unknown, ApiFailure>>;
  /** Said once it is done. */
  readonly done: string;
  readonly onDone?: () => void;
  readonly isDangerous?: boolean;
  /** What the page is for: at most one of its buttons. */
  readonly isPrimary?: boolean;
  /** Whether the dialog asks for a reason. Default: it does, and takes none. */
  readonly reason?: "optional" | "required" | "none";
  /** The reason that holds, where the command changes it. The dialog begins with it. */
  readonly presentReason?: string;
}

/** A button that opens a dialog, which asks for a reason and carries the command out. */
export function CommandButton(props: CommandProps): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button type="button" class={buttonClass(props)} onClick={() => setOpen(true)}>
        {props.title}
      </button>
      {isOpen && <CommandDialog {...props} close={() => setOpen(false)} />}
    </>
  );
}

function buttonClass({ isDangerous, isPrimary }: CommandProps): string | undefined {
  if (isDangerous) return "danger";
  return isPrimary ? "primary" : undefined;
}

function CommandDialog(props: CommandProps & { readonly close: () => void }): JSX.Element {
  const { title, children, fields, run, done, onDone, isDangerous, reason = "optional", presentReason, close } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const [failure, setFailure] = useState<ApiFailure>();
  const [isRunning, setRunning] = useState(false);
  // The browser keeps the focus inside, closes it with Escape, and gives the focus back.
  useEffect(() => dialog.current?.showModal(), []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setRunning(true);
    const result = await run(new FormData(event.currentTarget as HTMLFormElement));
    setRunning(false);
    if (!result.ok) return setFailure(result.error);
    announce(done);
    close();
    onDone?.();
  };
  return (
    <dialog ref={dialog} aria-label={title} onClose={close}>
      <form onSubmit={(event) => void submit(event)}>
        <h2>{title}</h2>
        {children}
        {fields}
        {reason !== "none" && (
          <label>
            {reason === "required" ? "Reason" : "Reason, if you like"}
            <input
              name="reason"
              maxLength={500}
              autoComplete="off"
              required={reason === "required"}
              defaultValue={presentReason}
            />
          </label>
        )}
        {failure && <Failure failure={failure} />}
        <div class="actions">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class={isDangerous ? "danger" : "primary"} disabled={isRunning}>
            {title}
          </button>
        </div>
      </form>
    </dialog>
  );
}
