/**
 * `ndn-registry completion bash|zsh`: a script that lets the shell ask this program what may come next. yargs answers.
 */

import type { Values } from "../option.ts";
import { oneOf } from "../parsers.ts";

/** Options of `ndn-registry completion`. */
export const completionOptions = {
  shell: {
    flag: "shell",
    value: "bash|zsh",
    positional: true,
    help: "Whose script it is; without it that of the login shell.",
    parse: oneOf("bash", "zsh"),
  },
} as const;

/** What a shell asks with; the words of the line follow. */
export const completionFlag = "--get-yargs-completions";

/** Print the script. yargs goes by SHELL for the form of its answer, and that may be another shell than the one that asks. */
export async function runCompletion({ shell }: Values<typeof completionOptions>): Promise<void> {
  process.stdout.write({ bash, zsh }[shell ?? (process.env.SHELL?.endsWith("/zsh") ? "zsh" : "bash")]);
}

const bash = `# Completion of ndn-registry, for ~/.bashrc: source <(ndn-registry completion bash)
_ndn_registry() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(SHELL=bash ndn-registry ${completionFlag} "\${COMP_WORDS[@]}" 2>/dev/null)" \\
    -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o bashdefault -o default -F _ndn_registry ndn-registry
`;

const zsh = `#compdef ndn-registry
# Completion of ndn-registry, for ~/.zshrc after compinit: source <(ndn-registry completion zsh)
_ndn_registry() {
  local -a reply
  reply=("\${(@f)$(SHELL=zsh ndn-registry ${completionFlag} "\${words[@]}" 2>/dev/null)}")
  if [[ -n "$reply" ]]; then _describe values reply; else _default; fi
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then _ndn_registry "$@"; else compdef _ndn_registry ndn-registry; fi
`;
