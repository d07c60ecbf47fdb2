/** Variables without a flag that other programs read as well, with what they hold. */
export const networkVariables = {
  HTTPS_PROXY: "Proxy for https registries, such as http://proxy.example:3128.",
  HTTP_PROXY: "The same for http registries.",
  NO_PROXY: "Hosts, domains and networks that are reached without a proxy, with commas between them.",
  SSL_CERT_FILE: "File of the authorities that are trusted, in place of the system's.",
} as const;
