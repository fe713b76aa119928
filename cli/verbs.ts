import type { Verb } from "./verb.ts";
import { access, request } from "./verbs/access.ts";
import { approvals, approve, deny, revoke } from "./verbs/approvals.ts";
import { completion } from "./verbs/completion.ts";
import { credential } from "./verbs/credential.ts";
import { kubeconfig } from "./verbs/kubeconfig.ts";
import { login, logout } from "./verbs/login.ts";
import { proxy } from "./verbs/proxy.ts";
import { reason } from "./verbs/reason.ts";
import { end, sessions } from "./verbs/sessions.ts";
import { watch } from "./verbs/watch.ts";
import { whoami } from "./verbs/whoami.ts";

/** Every verb, in the order of help. */
export const VERBS: readonly Verb[] = [
  kubeconfig,
  login,
  logout,
  whoami,
  sessions,
  end,
  watch,
  reason,
  request,
  access,
  approvals,
  approve,
  deny,
  revoke,
  proxy,
  credential,
  completion,
];
