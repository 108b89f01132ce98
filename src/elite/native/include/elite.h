/* libelite: labels for the points of LiDAR scans, on the CPU, without Python.
 *
 *     elite_model* model;
 *     elite_session* session;
 *     if (elite_open("student.elite", ELITE_PRECISION_OF_FILE, &model) ||
 *         elite_new_session(model, &session)) fail(elite_last_error());
 *     const elite_scan scan = {n, xyz, 16, xyz + 3, 16, NULL, 0};     // rows of x, y, z, intensity
 *     const elite_result result = {labels, NULL, NULL, NULL};
 *     if (elite_segment(session, &scan, NULL, &result)) fail(elite_last_error());
 *     puts(elite_class_name(model, labels[0]));
 *     elite_close_session(session);
 *     elite_close(model);
 *
 * A model does not change after it was opened, and any number of threads may use it at once. A session contains the
 * memory of one caller: one call at a time. Every function may be called from any thread. No exception leaves a
 * function. Files and scans may have any content.
 *
 * Labels: 1 .. classes - 1; 0 for a point without an answer, which has probability 0 and entropy 1.
 */
#ifndef ELITE_H
#define ELITE_H

#include <stdint.h>

#define ELITE_API_VERSION 1

#if defined(__GNUC__)
#define ELITE_API __attribute__((visibility("default")))
#else
#define ELITE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Result of a function. elite_last_error describes any but ELITE_OK. */
typedef enum elite_status {
    ELITE_OK = 0,
    ELITE_ERROR_ARGUMENT = 1,  /* null where a pointer is required, a negative number, a stride that is too short */
    ELITE_ERROR_MODEL = 2,     /* unreadable or damaged, or of another version */
    ELITE_ERROR_PROCESSOR = 3, /* the processor lacks the instructions of the precision */
    ELITE_ERROR_SCAN = 4,      /* no point in the volume, or numbers so large that the network overflows */
    ELITE_ERROR_MEMORY = 5
} elite_status;

/* Numbers that the network multiplies. bf16 and int8 may change some labels. */
typedef enum elite_precision {
    ELITE_FP32 = 0,
    ELITE_BF16 = 1,             /* on x86-64: AVX512-BF16; channels in fours */
    ELITE_INT8 = 2,             /* on x86-64: AVX512-VNNI or AVX-VNNI */
    ELITE_PRECISION_OF_FILE = 3 /* the one that the model file names */
} elite_precision;

typedef struct elite_model elite_model;
typedef struct elite_session elite_session;

/* Properties of a model, valid until it is closed. */
typedef struct elite_info {
    int32_t classes;          /* with class 0, which is never an answer */
    int32_t channels;
    int32_t past_scans;       /* number of past scans whose points the model requires, see elite_scan.age */
    elite_precision precision; /* in use */
    float low[3], high[3];    /* corners of the volume (m, x forward, y left, z up, in the frame of the sensor) */
    float sensor_height;      /* of the training scans above the ground (m); negative = unknown */
    const char* sensor;       /* name of the sensor of the training scans */
    const char* taxonomy;     /* name of the set of classes */
    const char* instructions; /* instruction set in use, such as avx512 or neon */
} elite_info;

/* The LiDAR of the training scans, as far as its files differ from elite_scan. Valid until the model is closed. */
typedef struct elite_sensor {
    const char* intensity_field; /* name of the intensity; null = the first of remission, intensity, reflectivity, i */
    float intensity_max;         /* value that becomes 1; 0 = the model was trained without intensity */
    int32_t axes[3];             /* coordinates that point forward, left and up: 1, 2, 3 = x, y, z; negative = opposite */
    int32_t has_ego_box;         /* whether points of the vehicle are known, which have no answer */
    float ego_low[3], ego_high[3]; /* corners of the vehicle (m, x forward, y left, z up) */
} elite_sensor;

/* A scan. Pointers may be misaligned; strides are the bytes from one point to the next. */
typedef struct elite_scan {
    int64_t points;
    const void* xyz; /* three float32 per point: metres, x forward, y left, z up, in the frame of the sensor */
    int64_t xyz_stride;
    const void* intensity; /* one float32 per point, 0 to 1; null = 0 for all */
    int64_t intensity_stride;
    const void* age; /* one float32 per point: seconds before the scan, 0 for its own points; required by models with past
                        scans, else null */
    int64_t age_stride;
} elite_scan;

/* How to label a scan; zeros and null mean the defaults. */
typedef struct elite_options {
    int32_t threads;   /* 0 = all processors. The answer does not depend on it. */
    float fill_radius; /* points outside the volume have the label of the nearest point inside; those farther away
                          than this (m) have no answer. 0 = no limit */
} elite_options;

/* Arrays to fill, with one value per point; null where a result is not needed. */
typedef struct elite_result {
    uint8_t* labels;
    float* probabilities;       /* of the label */
    float* entropy;             /* over its largest value: 0 = certain, 1 = all classes equal */
    float* class_probabilities; /* points x classes; class 0 has 0 */
} elite_result;

/* Logits of the network. Points that share their voxels form a group with one row of logits. The arrays belong to the
 * session and are valid until its next call. */
typedef struct elite_groups {
    int64_t groups;
    const float* logits;           /* groups x classes; class 0 was never trained */
    const int64_t* group_of_point; /* one per point */
} elite_groups;

/* Seconds of the last call, by step. */
typedef struct elite_seconds {
    double crop;     /* check all points, and select those in the volume */
    double geometry; /* voxels and their neighbours */
    double network;
    double labels;   /* probabilities, and the points outside the volume */
} elite_seconds;

/* ELITE_API_VERSION of the library. It increases when the meaning or the layout of something here changes. */
ELITE_API int32_t elite_api_version(void);

/* Message of the last function that failed in this thread: what was expected, what was found, and a remedy. */
ELITE_API const char* elite_last_error(void);

/* Open a model file (*.elite, written by "elite export"). Close the model with elite_close. */
ELITE_API elite_status elite_open(const char* path, elite_precision precision, elite_model** model);

/* Open the contents of a model file. They may be freed afterwards. */
ELITE_API elite_status elite_open_bytes(const void* bytes, int64_t size, elite_precision precision, elite_model** model);

/* Sessions of the model stay valid. Null is allowed. */
ELITE_API void elite_close(elite_model* model);

ELITE_API elite_info elite_model_info(const elite_model* model);

ELITE_API elite_sensor elite_model_sensor(const elite_model* model);

/* Name of a class (UTF-8), valid until the model is closed; null for a label that does not exist. */
ELITE_API const char* elite_class_name(const elite_model* model, int32_t label);

/* Colour of a class, as 0xRRGGBB; 0 for a label that does not exist. */
ELITE_API uint32_t elite_class_color(const elite_model* model, int32_t label);

/* Memory for one caller. It grows with the largest scan so far. Close it with elite_close_session. */
ELITE_API elite_status elite_new_session(const elite_model* model, elite_session** session);
ELITE_API void elite_close_session(elite_session* session);

/* Allocate the memory for scans of up to so many points, so that their calls do not enlarge it. */
ELITE_API elite_status elite_reserve(elite_session* session, int64_t points);

/* Bytes that the session has allocated. The system provides them when they are first used. */
ELITE_API int64_t elite_session_bytes(const elite_session* session);

/* Label every point of a scan. Points with NaN or infinite numbers have no answer. If the status is ELITE_ERROR_SCAN,
 * no point has an answer. Options may be null. */
ELITE_API elite_status elite_segment(elite_session* session, const elite_scan* scan, const elite_options* options,
                                     const elite_result* result);

/* Run the network on exactly these points, which must be finite, in the volume or near it: for callers that select the
 * points and combine the logits themselves, as test-time augmentation does. Logits may be infinite or NaN if numbers
 * of the scan overflow. Options may be null; fill_radius is not used. */
ELITE_API elite_status elite_run(elite_session* session, const elite_scan* scan, const elite_options* options,
                                 elite_groups* groups);

/* Write the most probable class of each row of logits, as elite_segment does: for callers of elite_run. The arrays of the
 * result have one value per row. ELITE_ERROR_SCAN if a logit is not finite; the arrays then have any values. Options may
 * be null; only threads is used. */
ELITE_API elite_status elite_answers(const float* logits, int64_t rows, int32_t classes, const elite_options* options,
                                     const elite_result* result);

ELITE_API elite_seconds elite_last_seconds(const elite_session* session);

#ifdef __cplusplus
}
#endif
#endif
