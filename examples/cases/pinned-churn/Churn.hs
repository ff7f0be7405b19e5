-- Churn CLIENTS TICKS: clients hold random numbers of buffers; how many goes up and down with the load, in eight ticks a day.
{-# LANGUAGE BangPatterns #-}
module Main (main) where

import Control.Monad
import Data.Bits (shiftR)
import qualified Data.ByteString as B
import qualified Data.IntMap.Strict as M
import Data.IORef
import Data.Word
import GHC.Stats
import System.Environment (getArgs)
import System.Mem (performMajorGC)

-- The next number below n of a linear congruential series.
draw :: IORef Word64 -> Int -> IO Int
draw state n = do
  x <- readIORef state
  let !y = x * 6364136223846793005 + 1442695040888963407
  writeIORef state y
  pure (fromIntegral (y `shiftR` 33) `mod` n)

buffer :: IORef Word64 -> IO B.ByteString
buffer state = do
  kind <- draw state 3
  less <- draw state 251
  pure $! B.replicate (if kind == 0 then 16384 - less else 4096 + kind * 1500) (fromIntegral less)

message :: IORef Word64 -> IO B.ByteString
message state = do
  more <- draw state 1000
  byte <- draw state 251
  pure $! B.replicate (200 + more) (fromIntegral byte)

load :: Int -> Int
load tick = [100, 85, 70, 55, 40, 55, 70, 85] !! (tick `mod` 8)

main :: IO ()
main = do
  [clients, ticks] <- map read <$> getArgs
  state <- newIORef 1
  held <- newIORef M.empty
  forM_ [1 .. ticks] $ \tick -> do
    forM_ [1 .. clients `div` 2] $ \_ -> do
      client <- draw state clients
      percent <- draw state 100
      number <- draw state 7
      buffers <- if percent < load tick then replicateM number (buffer state) else pure []
      messages <- replicateM 2 (message state)
      let !all' = buffers ++ messages
      sum (map B.length all') `seq` modifyIORef' held (M.insert client all')
    performMajorGC
    stats <- gc <$> getRTSStats
    putStrLn (unwords ["tick", show tick, "live", show (gcdetails_live_bytes stats), "heap", show (gcdetails_mem_in_use_bytes stats),
                       "large", show (gcdetails_large_objects_bytes stats)])
