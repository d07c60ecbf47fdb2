/**
 * Media types, as they say what a manifest is (RFC 9110 § 8.3 and § 12.5.1).
 *
 * One tag or digest may be had in several forms: an index of several platforms or the manifest of one, each in OCI's
 * format or in Docker's. A puller lists in Accept those that it understands, and the registry names in Content-Type the
 * one that it sends. What answers in the registry's place must not send a form that the puller has not asked for, and
 * must not take a refusal of one puller's forms as a sign that the manifest is gone. Weights other than `q=0` do not
 * matter here, as there is only one form to offer.
 */

/**
 * Whether an Accept header admits a media type; without one, or with an empty one, everything is welcome.
 *
 * @param accept - The header's value; several lines joined by commas, as Node does.
 * @param mediaType - As in Content-Type; its parameters do not matter.
 * @returns the word of the most specific range that matches: a refusal of `text/html` beside an "anything" admits all but one.
 */
export function admits(accept: string | undefined, mediaType: string): boolean {
  if (accept === undefined || accept.trim() === "") return true;
  const [type, subtype] = bareType(mediaType).split("/", 2);
  const ranges = accept.split(",").flatMap((item) => {
    const [range = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    const specificity = [`*/*`, `${type}/*`, `${type}/${subtype}`].indexOf(range);
    return specificity < 0 ? [] : [{ specificity, isRefusal: parameters.some((text) => /^q=0(\.0*)?$/.test(text)) }];
  });
  const decisive = Math.max(...ranges.map(({ specificity }) => specificity));
  return ranges.some(({ specificity, isRefusal }) => specificity === decisive && !isRefusal);
}

/** A media type without parameters, in lower case: the form in which two can be compared. */
export function bareType(mediaType: string): string {
  return mediaType.split(";", 1)[0]!.trim().toLowerCase();
}

/** Whether a text can be sent as the value of Content-Type as it is: type and subtype, parameters without line breaks. */
export function isMediaType(text: string): boolean {
  return text.length <= 255 && /^[!#$&^_.+\w-]+\/[!#$&^_.+\w-]+(?:[ \t]*;[\x20-\x7e\t]*)?$/.test(text);
}

const manifestTypes = new Set([
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
]);
/** Media types of lists of manifests. */
export const indexTypes: ReadonlySet<string> = new Set([
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
]);

/** An Accept header for every kind of manifest, so that a registry need not convert one. */
export const manifestAccept = [...indexTypes, ...manifestTypes, "application/vnd.oci.artifact.manifest.v1+json"].join(
  ", ",
);

/** Whether a media type is of an image manifest or an index, so that its digest is that of all its bytes. */
export function isManifestType(mediaType: string): boolean {
  const type = bareType(mediaType);
  return manifestTypes.has(type) || indexTypes.has(type);
}
