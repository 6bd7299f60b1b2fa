//! MPEG-1, MPEG-2 and MPEG-2.5 Layer III audio encoder.
