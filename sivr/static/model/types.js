// @ts-check
/** The nouns as the servers send them, for the type checker; nothing runs here. */

/**
 * @typedef {object} User
 * @property {string} id @property {string} login @property {string} name @property {string} email
 * @property {string} phone @property {"en" | "hr"} language @property {string[]} roles
 * @property {string[]} institutions @property {boolean} active @property {number} version
 * @property {string} [created_at] @property {string | null} [locked_until]
 */
/**
 * @typedef {object} Patient
 * @property {string} id @property {string} family_name @property {string} given_name @property {string} middle_name
 * @property {string | null} birth_date @property {"F" | "M" | "O" | "U"} sex @property {string} insurance_number
 * @property {string} insurance_issuer @property {string} phone @property {string} email @property {string} address
 * @property {string} notes @property {number} version @property {string} created_at @property {string} updated_at
 */
/** @typedef {{id: string, name: string, url: string, address: string, active: boolean, version: number}} Institution */
/**
 * @typedef {{id: string, code: string, name: string, description: string, modalities: string[], active: boolean,
 *   version: number}} RecordType
 */
/**
 * @typedef {object} Study
 * @property {string} study_uid @property {string} patient_id @property {string} patient_issuer @property {string} node_id
 * @property {string[]} modalities @property {string | null} study_date @property {string | null} study_time
 * @property {string} description @property {string} accession_number @property {number} series_count
 * @property {number} instance_count @property {number} size_bytes @property {boolean} complete
 * @property {string} created_at @property {string} updated_at @property {{id: string, name: string, url: string}} node
 * @property {StudySeries[]} series @property {number} findings_count
 */
/**
 * @typedef {{series_uid: string, modality: string, number: number | null, description: string, instance_count: number,
 *   frame_count: number, renderable: boolean, has_volume: boolean, why_no_volume: string}} StudySeries
 */
/**
 * @typedef {{id: string, study_uid: string, text: string, author: {id: string, name: string}, created_at: string,
 *   updated_at: string, version: number}} Finding
 */
/** @typedef {{center: number, width: number, function?: string, explanation?: string}} Window */
/** @typedef {{row: import("../lib/geometry.js").Vector, col: import("../lib/geometry.js").Vector}} Orientation */
/**
 * @typedef {{instance_uid: string, frame: number, columns: number, rows: number, position_mm: number | null, time_ms?: number | null,
 *   side: string, origin: import("../lib/geometry.js").Vector | null, orientation: Orientation | null}} Frame orientation: where it
 *   differs from the series'
 */
/**
 * @typedef {object} VolumeFacts
 * @property {[number, number, number]} shape slices, rows, columns
 * @property {import("../lib/geometry.js").Vector} spacing_mm
 * @property {import("../lib/geometry.js").Vector} center
 * @property {import("../lib/geometry.js").Vector} extent_mm
 * @property {number[][]} lps_from_ijk
 */
/**
 * @typedef {object} SeriesContents
 * @property {string} series_uid @property {string} modality @property {number | null} number @property {string} description
 * @property {string} body_part @property {string} laterality
 * @property {boolean} renderable @property {string} why_not @property {number} frame_count @property {boolean} complete
 * @property {Frame[]} frames @property {number} columns @property {number} rows
 * @property {[number, number] | null} spacing_mm @property {string} spacing_origin @property {any[]} scales @property {any} pixel_aspect
 * @property {Window[]} windows @property {[number, number] | null} value_range @property {string} units
 * @property {boolean} color
 * @property {Orientation | null} orientation @property {string} frame_of_reference_uid
 * @property {VolumeFacts | null} volume @property {string} why_no_volume @property {string[]} warnings
 * @property {{slices: number, total: number}} loaded @property {number | null} frame_time_ms @property {boolean} [lossy]
 * @property {number | null} [cine_rate_hz] @property {string} [body_part] @property {string} [laterality] @property {number | null} [slice_thickness_mm]
 * @property {boolean} [inverted]
 * @property {{name: string, label: string, center: number, width: number, function?: string}[]} [modality_presets]
 */

export {};
