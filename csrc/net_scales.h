/* How large the inputs of a network's maps are, for kernels that compute in whole numbers. */
#ifndef ZF_NET_SCALES_H
#define ZF_NET_SCALES_H

#include "net.h"

enum { ZF_NET_CALIBRATION = 128 }; /* positions that a calibration is made of */

/* Positions of random games, dealt and played by a fixed seed: the same ones everywhere. They need
 * not be good play, since rows are scaled by their own largest number; measured with the shipped
 * network, 32 of them do as well as 512 of the network's own games. */
void zf_net_calibration_positions(zf_obs out[ZF_NET_CALIBRATION]);

/* The ranges that the inputs of every block's maps have over n observations, [n_blocks][width] each:
 * in fp32 by one order of sums, so the same bits on every processor. False if there is no memory or
 * an observation is not one of a seat to play. */
bool zf_net_calibrate(const zf_net_weights *weights, const zf_obs *obs, size_t n, float *low,
                      float *high, float *hidden);

/* Are these numbers that a network may be packed by? Finite, of a size that can be, none reversed. */
bool zf_net_scales_sound(const zf_net_scales *scales, const zf_net_shape *shape);

#endif
