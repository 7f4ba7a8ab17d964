/** Arguments of operations on admissions. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { withWireForm } from '../core/wire-form.js';
import { LIMITS } from '../limits.js';
import { shortIdOf } from '../short-id.js';

/** Ids of admissions: lease ids minted by their claimers, without duplicates. */
export const admissionIds = withWireForm(
  z
    .array(field.uuid)
    .min(1)
    .max(LIMITS.maxAdmissions)
    .refine((ids) => new Set(ids).size === ids.length, { error: 'must name no id twice' }),
  {
    texts: ['admission_ids'],
    encode: (value) => [((value as readonly string[] | undefined) ?? []).map((id) => shortIdOf(id)).join(',')],
  },
);
