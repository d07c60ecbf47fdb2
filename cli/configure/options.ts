import { switchedOn } from "../option.ts";
import { nonEmpty, oneOf } from "../parsers.ts";
import { endpointUrl, registryName } from "./endpoint.ts";

/** Options of `ndn-registry configure`. */
export const configureOptions = {
  program: {
    flag: "program",
    value: "docker|containerd|podman",
    positional: true,
    required: true,
    help: "Whose configuration it is; podman's is also that of skopeo, Buildah and CRI-O.",
    parse: oneOf("docker", "containerd", "podman"),
  },
  endpoint: {
    flag: "endpoint",
    value: "URL",
    help: "Where this machine reaches the client: http://127.0.0.1:5000 unless given, with --undo what was configured.",
    parse: endpointUrl,
  },
  for: {
    flag: "for",
    value: "REGISTRY",
    repeatable: true,
    help: "Registries that the endpoint stands for; docker.io unless given, with --undo all. _default is containerd's.",
    parse: registryName,
  },
  root: {
    flag: "root",
    value: "DIR",
    help: "Directory that stands for / (an image, a tree of your own).",
    fallback: "/",
    parse: nonEmpty,
  },
  only: {
    flag: "only",
    value: "",
    switch: true,
    help: "containerd asks nothing but the endpoint, also when that has no answer: for a site that does not reach the registries.",
    parse: switchedOn,
  },
  print: {
    flag: "print",
    value: "",
    switch: true,
    help: "Write the files to stdout and touch nothing.",
    parse: switchedOn,
  },
  undo: {
    flag: "undo",
    value: "",
    switch: true,
    help: "Put back what was there before, or take out only our entry where the file was changed since.",
    parse: switchedOn,
  },
} as const;
